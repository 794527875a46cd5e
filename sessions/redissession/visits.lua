-- Touch of a visit: KEYS visit, site's index; ARGV idle (microseconds), id, visitor,
-- limit per site. Returns id, start, now and events, or 'FULL'.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local idle = tonumber(ARGV[1])
local keep = math.ceil(idle / 1000) + 1000
local got = redis.call('HMGET', KEYS[1], 'id', 'started', 'seen')
local id, started = got[1], tonumber(got[2] or 0)
if not id or now - tonumber(got[3]) >= idle then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - idle)
  if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then return 'FULL' end
  redis.call('UNLINK', KEYS[1])
  id, started = ARGV[2], now
  redis.call('HSET', KEYS[1], 'id', id, 'started', string.format('%.0f', started))
end
redis.call('HSET', KEYS[1], 'seen', string.format('%.0f', now))
local events = redis.call('HINCRBY', KEYS[1], 'events', 1)
redis.call('ZADD', KEYS[2], now, ARGV[3])
redis.call('PEXPIRE', KEYS[1], keep)
redis.call('PEXPIRE', KEYS[2], keep)
return {id, string.format('%.0f', started), string.format('%.0f', now), events}
