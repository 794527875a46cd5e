-- Load: KEYS session, epoch, shard's index; ARGV resolution in microseconds, or ''
-- for a peek. Returns the session, or nothing.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local got = redis.call('MGET', KEYS[1], KEYS[2])
local session = got[1]
if not session then return false end
local kind, seen, started, idle, life, epoch = struct.unpack('>Bddddd', session)
if epoch ~= (tonumber(got[2] or 0)) or now - seen >= idle or now - started >= life then
  return false
end
if kind == 2 then -- replaced: reads for a while, if the session still lives
  local at, following = struct.unpack('>dc43', session, 50)
  local key = string.sub(KEYS[1], 1, -44) .. following
  if now - at >= tonumber(ARGV[2]) or redis.call('GETRANGE', key, 0, 0) ~= '\1' then
    return false
  end
  return session
end
if ARGV[1] ~= '' and now - seen >= tonumber(ARGV[1]) then
  session = '\1' .. struct.pack('>d', now) .. string.sub(session, 10)
  local deadline = math.min(now + idle, started + life)
  redis.call('SET', KEYS[1], session, 'PX', math.ceil((deadline - now) / 1000) + 1000)
  redis.call('ZADD', KEYS[3], 'XX', deadline, string.sub(KEYS[1], -47))
end
return session
