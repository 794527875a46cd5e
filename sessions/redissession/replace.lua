-- Replace: KEYS old session, epoch, shard's index, user's index, new session;
-- ARGV idle, lifetime, id, version, grace, payload. Returns the header,
-- 'CONFLICT' or 'NONE'. The two sessions may have one key.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local got = redis.call('MGET', KEYS[1], KEYS[2])
local session = got[1]
if not session then return 'NONE' end
local epoch_now = tonumber(got[2] or 0)
local kind, seen, started, idle, life, epoch, version = struct.unpack('>Bdddddd', session)
if kind ~= 1 or epoch ~= epoch_now or now - seen >= idle or now - started >= life then
  return 'NONE'
end
if version ~= tonumber(ARGV[4]) then return 'CONFLICT' end
idle, life = tonumber(ARGV[1]), tonumber(ARGV[2])
local renewed = KEYS[1] ~= KEYS[5]
if renewed then
  if redis.call('EXISTS', KEYS[5]) == 1 then return 'CONFLICT' end
  local grace = tonumber(ARGV[5])
  redis.call('SET', KEYS[1], '\2' .. string.sub(session, 2, 49) ..
    struct.pack('>d', now) .. string.sub(KEYS[5], -43) .. string.sub(session, 50),
    'PX', math.ceil(grace / 1000) + 1000)
  redis.call('ZREM', KEYS[3], string.sub(KEYS[1], -47))
  redis.call('HSET', KEYS[4], ARGV[3], string.sub(KEYS[5], -47))
  seen, started = now, now
end
local header = struct.pack('>Bdddddd', 1, seen, started, idle, life, epoch, version + 1)
local deadline = math.min(seen + idle, started + life)
redis.call('SET', KEYS[5], header .. ARGV[6], 'PX', math.ceil((deadline - now) / 1000) + 1000)
redis.call('ZADD', KEYS[3], deadline, string.sub(KEYS[5], -47))
local keep = math.ceil((started + life - now) / 1000) + 1000
for i = 2, 4 do
  if redis.call('PTTL', KEYS[i]) < keep then redis.call('PEXPIRE', KEYS[i], keep) end
end
return header
