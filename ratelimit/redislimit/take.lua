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
-- ARGV[1], MessagePack integers, for each decision: policies, repeats, and for each of
-- its policies: interval (ns per unit), burst, cost, shadow (0 or 1).
-- Returns for each decision: how many repeats were charged, and for each
-- policy the nanoseconds until it is full; for a shadow policy that was short,
-- the complement of that (-1 for 0).
local args = {cmsgpack.unpack(ARGV[1])}
local call = redis.call
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
local floor, sub, format = math.floor, string.sub, string.format
local out, o, a, k = {0, 0}, 0, 1, 0 -- tables that need not grow for one policy
local busy, fits = {0}, {0}

while args[a] do
  local policies, admit = args[a], args[a + 1]
  a = a + 2

  for i = 1, policies do
    local p = a + (i - 1) * 4
    local full, step = args[p] * args[p + 1], args[p] * args[p + 2]
    local b, fit = 0, args[a - 1]
    local at = call('GET', KEYS[k + i])
    if at then
      b = (sub(at, 1, -4) - now) * 1000 + sub(at, -3)
      -- Above full: the clock was set back, or the limit became smaller.
      if b < 0 then b = 0 elseif b > full then b = full end
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
    if n < admit then b = -b - 1 end
    o = o + 1
    out[o] = b
  end
  a = a + policies * 4
  k = k + policies
end
return out
