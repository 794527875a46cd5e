package redisqueue

import "github.com/redis/go-redis/v9"

// ending changes the shard's numbers, and answers with them: events, entries, version.
const ending = `
-- What is taken away is 0 - n: in Lua, -n of 0 is a -0 that Redis does not take.
local function ended(key, answer, events, entries)
	local n = redis.call('HINCRBY', key, 'events', events)
	local e = redis.call('HINCRBY', key, 'entries', entries)
	-- After the keys were deleted, what is settled was counted before.
	if n < 0 then n = 0; redis.call('HSET', key, 'events', 0) end
	if e < 0 then e = 0; redis.call('HSET', key, 'entries', 0) end
	return {answer, n, e, redis.call('HINCRBY', key, 'version', 1)}
end
`

var numbersScript = redis.NewScript(`
local n = redis.call('HMGET', KEYS[1], 'events', 'entries', 'version')
return {0, n[1] or 0, n[2] or 0, n[3] or 0}`)

// add: stream, count; payload, events, site.
var addScript = redis.NewScript(ending + `
redis.call('XADD', KEYS[1], '*', 'p', ARGV[1], 'n', ARGV[2], 's', ARGV[3])
return ended(KEYS[2], 1, ARGV[2], 1)`)

// call: stream, count, the call's event id; payload, events, site, identity, seconds.
// It answers 0 for a call that was accepted before, and -1 for another one.
var callScript = redis.NewScript(ending + `
local was = redis.call('GET', KEYS[3])
if was == ARGV[4] then return ended(KEYS[2], 0, 0, 0) end
if was then return ended(KEYS[2], -1, 0, 0) end
redis.call('XADD', KEYS[1], '*', 'p', ARGV[1], 'n', ARGV[2], 's', ARGV[3])
redis.call('SET', KEYS[3], ARGV[4], 'EX', ARGV[5])
return ended(KEYS[2], 1, ARGV[2], 1)`)

// trim removes what is acknowledged and has nothing before it that is not. Both are
// read here: between two commands, an entry could become pending and be trimmed.
const trim = `
local function trim(stream, group)
	local pending = redis.call('XPENDING', stream, group)
	local low = pending[1] > 0 and pending[2]
	if not low then
		for _, each in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
			local of = {}
			for i = 1, #each, 2 do of[each[i]] = each[i + 1] end
			if of['name'] == group then
				local ms, seq = string.match(of['last-delivered-id'], '(%d+)-(%d+)')
				low = ms .. '-' .. string.format('%.0f', tonumber(seq) + 1)
			end
		end
	end
	if low then redis.call('XTRIM', stream, 'MINID', '=', low) end
end
`

// delivered: stream, count; group, then an id and its number of events for each.
// What was acknowledged before counts no more, whoever held it.
var deliveredScript = redis.NewScript(ending + trim + `
local events, entries = 0, 0
for i = 2, #ARGV, 2 do
	if redis.call('XACK', KEYS[1], ARGV[1], ARGV[i]) == 1 then
		events = events + ARGV[i + 1]
		entries = entries + 1
	end
end
if entries > 0 then trim(KEYS[1], ARGV[1]) end
return ended(KEYS[2], 1, 0 - events, 0 - entries)`)

// alive: stream; group, consumer, then the ids that it knows to have. It answers with
// those that it still has.
var aliveScript = redis.NewScript(`
local known, mine = {}, {}
for i = 3, #ARGV do known[ARGV[i]] = true end
for _, held in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 10000, ARGV[2])) do
	if known[held[1]] then
		redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, held[1], 'JUSTID')
		mine[#mine + 1] = held[1]
	end
end
return mine`)

// apart: stream, count, alone, due; group, consumer, id, when due, events, then each
// event after its site. An entry that is another's by now is left to it.
var apartScript = redis.NewScript(ending + trim + `
local held = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)
if #held == 0 or held[1][2] ~= ARGV[2] then return ended(KEYS[2], 0, 0, 0) end
for i = 6, #ARGV do
	local id = ARGV[3] .. ':' .. (i - 5)
	redis.call('HSET', KEYS[3], id, ARGV[i])
	redis.call('ZADD', KEYS[4], ARGV[4], id)
end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
trim(KEYS[1], ARGV[1])
return ended(KEYS[2], 1, #ARGV - 5 - ARGV[5], #ARGV - 6)`)

// takeLone: alone, due; now, until when it is held.
var takeLoneScript = redis.NewScript(`
local ids = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1], 'LIMIT', 0, 1)
if #ids == 0 then return {} end
local event = redis.call('HGET', KEYS[1], ids[1])
if not event then
	redis.call('ZREM', KEYS[2], ids[1])
	return {}
end
redis.call('ZADD', KEYS[2], ARGV[2], ids[1])
return {ids[1], event}`)

// loneDone: alone, due, count; id.
var loneDoneScript = redis.NewScript(ending + `
redis.call('ZREM', KEYS[2], ARGV[1])
local gone = redis.call('HDEL', KEYS[1], ARGV[1])
return ended(KEYS[3], gone, 0 - gone, 0 - gone)`)

// bury: alone, due, dead, letters; id, now. The dead are sorted by site.
var buryScript = redis.NewScript(`
local event = redis.call('HGET', KEYS[1], ARGV[1])
if not event then return 0 end
local member = string.match(event, '^[^\n]*') .. ':' .. ARGV[1]
redis.call('ZADD', KEYS[3], 0, member)
redis.call('HSET', KEYS[4], member, ARGV[2] .. '\n' .. event)
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1`)

// replay: stream, dead, letters; site, how many. Each becomes an entry again; the
// numbers stay as they are.
var replayScript = redis.NewScript(`
local from, to = '[' .. ARGV[1] .. ':', '(' .. ARGV[1] .. ';'
local dead = redis.call('ZRANGEBYLEX', KEYS[2], from, to, 'LIMIT', 0, ARGV[2])
for _, member in ipairs(dead) do
	local event = string.match(redis.call('HGET', KEYS[3], member) or '', '^%d+\n[^\n]*\n(.*)$')
	if event then
		redis.call('XADD', KEYS[1], '*', 'p', event, 'n', 1, 's', ARGV[1])
	end
	redis.call('HDEL', KEYS[3], member)
	redis.call('ZREM', KEYS[2], member)
end
return #dead`)
