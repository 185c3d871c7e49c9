-- A batch is about to be copied. If the copies are not good up to its start, none older than its end is
-- believed from here on. KEYS: mark, floor. ARGV: the batch's start and end.
local mark = redis.call('GET', KEYS[1]) or string.rep('0', 16)
if mark < ARGV[1] then
    redis.call('SET', KEYS[2], ARGV[2])
end
return mark
