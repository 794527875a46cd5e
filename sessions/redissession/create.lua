-- Create: KEYS session, epoch, shard's index, user's index; ARGV idle, lifetime
-- (microseconds), id, limit per user, limit per shard, payload. Returns the
-- header, 'CONFLICT' or 'FULL'.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local idle, life = tonumber(ARGV[1]), tonumber(ARGV[2])
if redis.call('EXISTS', KEYS[1]) == 1 then return 'CONFLICT' end
local epoch = tonumber(redis.call('GET', KEYS[2]) or 0)

-- The shard's index forgets what is over, a few at a time.
local over = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 32)
if #over > 0 then redis.call('ZREM', KEYS[3], unpack(over)) end

-- The user's least recently used sessions beyond the limit end.
local prefix = string.sub(KEYS[1], 1, -48)
local function remove(id, name)
  redis.call('UNLINK', prefix .. name)
  redis.call('ZREM', KEYS[3], name)
  redis.call('HDEL', KEYS[4], id)
end
local limit = tonumber(ARGV[4])
if limit > 0 then
  local own, live = redis.call('HGETALL', KEYS[4]), {}
  for i = 1, #own, 2 do
    local session = redis.call('GETRANGE', prefix .. own[i + 1], 0, 48)
    local kind, seen, started, its_idle, its_life, its_epoch = 0, 0, 0, 0, 0, 0
    if session ~= '' then
      kind, seen, started, its_idle, its_life, its_epoch = struct.unpack('>Bddddd', session)
    end
    if kind ~= 1 or its_epoch ~= epoch or now - seen >= its_idle or now - started >= its_life then
      remove(own[i], own[i + 1])
    else
      live[#live + 1] = {seen, own[i], own[i + 1]}
    end
  end
  if #live >= limit then
    table.sort(live, function(a, b) return a[1] < b[1] end)
    for i = 1, #live - limit + 1 do remove(live[i][2], live[i][3]) end
  end
end
if redis.call('ZCOUNT', KEYS[3], '(' .. string.format('%.0f', now), '+inf') >= tonumber(ARGV[5]) then
  return 'FULL'
end

local header = struct.pack('>Bdddddd', 1, now, now, idle, life, epoch, 1)
local deadline = now + math.min(idle, life)
redis.call('SET', KEYS[1], header .. ARGV[6], 'PX', math.ceil((deadline - now) / 1000) + 1000)
redis.call('ZADD', KEYS[3], deadline, string.sub(KEYS[1], -47))
redis.call('HSET', KEYS[4], ARGV[3], string.sub(KEYS[1], -47))
-- What refers to a session outlives it: then nothing is forgotten too early.
local keep = math.ceil(life / 1000) + 1000
for i = 2, 4 do
  if redis.call('PTTL', KEYS[i]) < keep then redis.call('PEXPIRE', KEYS[i], keep) end
end
return header
