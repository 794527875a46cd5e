-- End of everybody in a shard: KEYS epoch, shard's index. Sessions of another epoch
-- are over, so this takes no longer with a million of them. Returns how many were
-- alive.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local keep = redis.call('PTTL', KEYS[2])
if keep < 0 then return 0 end -- no session has been here for its lifetime
local alive = redis.call('ZCOUNT', KEYS[2], '(' .. string.format('%.0f', now), '+inf')
redis.call('UNLINK', KEYS[2])
redis.call('INCR', KEYS[1])
if redis.call('PTTL', KEYS[1]) < keep then redis.call('PEXPIRE', KEYS[1], keep) end
return alive
