-- Integer GCRA over several policies, for a batch of decisions.
--
-- A bucket is one integer: the nanosecond, on this server's clock, at which it
-- will be full again. An absent key is a full bucket. Redis stores such an
-- integer without a string object, and every key expires when it is full.
--
-- Lua has doubles: exact integers up to 2^53. Nanoseconds since 1970 are above
-- that, so the value is split into microseconds and a three-digit rest, and
-- all arithmetic is on the time until full, which is at most 90 days.
--
-- A bucket that owes more than its present limit can hold counts as empty, from
-- the first time on that it is refused under that limit: then its value is
-- "integer:since", in microseconds. The clock was set back, or the limit became
-- smaller; another, larger limit still finds the whole debt.
--
-- ARGV[1], MessagePack integers, for each decision: policies, repeats, and for each of
-- its policies: interval (ns per unit), burst, cost, shadow (0 or 1).
-- Returns for each decision: how many repeats were charged, and for each
-- policy the nanoseconds until it is full; for a shadow policy that was short,
-- the complement of that (-1 for 0).
local args = {cmsgpack.unpack(ARGV[1])}
local call = redis.call
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
local floor, sub, format, find = math.floor, string.sub, string.format, string.find
local out, o, a, k = {0, 0}, 0, 1, 0 -- tables that need not grow for one policy
local busy, fits, owed = {0}, {0}, {false}

while args[a] do
  local policies, admit = args[a], args[a + 1]
  a = a + 2

  for i = 1, policies do
    local p = a + (i - 1) * 4
    local full, step = args[p] * args[p + 1], args[p] * args[p + 2]
    local b, fit = 0, args[a - 1]
    local at = call('GET', KEYS[k + i])
    owed[i] = false
    if at then
      local bar, since = find(at, ':', 1, true), nil
      if bar then
        since = tonumber(sub(at, bar + 1))
        at = sub(at, 1, bar - 1)
      end
      b = (sub(at, 1, -4) - now) * 1000 + sub(at, -3)
      if b < 0 then
        b = 0
      elseif b > full then
        if not since or since > now then
          since = now
          if full > 0 and args[p + 2] > 0 then owed[i] = at end
        end
        b = full - (now - since) * 1000
        if b < 0 then b = 0 end
      end
    end
    if args[p + 2] > args[p + 1] then
      fit = 0
    elseif step > 0 and b + fit * step > full then
      fit = floor((full - b) / step)
      if b + fit * step > full then fit = fit - 1 end -- the quotient was rounded up
    end
    if args[p + 3] == 0 and fit < admit then admit = fit end
    busy[i], fits[i] = b, fit
  end

  o = o + 1
  out[o] = admit
  for i = 1, policies do
    local p = a + (i - 1) * 4
    local b, n = busy[i], admit
    if fits[i] < n then n = fits[i] end -- a shadow policy that is out of budget
    local change = n * args[p] * args[p + 2]
    if change ~= 0 then
      b = b + change
      if b > 0 then
        local micros = floor(b / 1000)
        call('PSETEX', KEYS[k + i], floor(b / 1000000) + 1,
          format('%.0f%03d', now + micros, b - micros * 1000))
      else
        b = 0
        call('DEL', KEYS[k + i])
      end
    end
    if change == 0 and owed[i] then
      call('SET', KEYS[k + i], owed[i] .. ':' .. format('%.0f', now), 'KEEPTTL')
    end
    if n < admit then b = -b - 1 end
    o = o + 1
    out[o] = b
  end
  a = a + policies * 4
  k = k + policies
end
return out
