-- List and End of a user: KEYS epoch, shard's index, user's index, prefix of
-- sessions; ARGV 'list', or 'end', only, except. Returns names and sessions, or
-- how many ended; 'NONE' if except is not live.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local epoch_now = tonumber(redis.call('GET', KEYS[1]) or 0)
local own, live, dead = redis.call('HGETALL', KEYS[3]), {}, {}
for i = 1, #own, 2 do
  local session = redis.call('GET', KEYS[4] .. own[i + 1])
  local kind, seen, started, idle, life, epoch = 0, 0, 0, 0, 0, 0
  if session then kind, seen, started, idle, life, epoch = struct.unpack('>Bddddd', session) end
  local entry = {own[i], own[i + 1], session}
  if kind ~= 1 or epoch ~= epoch_now or now - seen >= idle or now - started >= life then
    dead[#dead + 1] = entry
  else
    live[#live + 1] = entry
  end
end
local function remove(entry)
  redis.call('UNLINK', KEYS[4] .. entry[2])
  redis.call('ZREM', KEYS[2], entry[2])
  redis.call('HDEL', KEYS[3], entry[1])
end
for _, entry in ipairs(dead) do remove(entry) end
if ARGV[1] == 'list' then
  local list = {}
  for _, entry in ipairs(live) do
    list[#list + 1] = entry[2]
    list[#list + 1] = entry[3]
  end
  return list
end
local only, except = ARGV[2], ARGV[3]
if except ~= '' then
  local found = false
  for _, entry in ipairs(live) do found = found or entry[1] == except end
  if not found then return 'NONE' end
end
local ended = 0
for _, entry in ipairs(live) do
  if (only == '' or entry[1] == only) and (except == '' or entry[1] ~= except) then
    remove(entry)
    ended = ended + 1
  end
end
return ended
