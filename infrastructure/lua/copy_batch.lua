-- Copies of what a batch changed. If the copies before it are not good up to its start, none older than its end is
-- believed from here on. KEYS: mark, floor, lease, the copies. ARGV: the batch's start and end, the era in which the
-- projector began, seconds of a first life, the copies. Gives 0, having done nothing, where another era has begun or
-- others are further.
local mark, floor, era, generation = standing(KEYS[1], KEYS[2])
if era ~= ARGV[3] or (mark and mark > ARGV[2]) then
    return 0
end
if (mark or '') < ARGV[1] and floor < ARGV[2] then
    redis.call('SET', KEYS[2], ARGV[2] .. era .. generation)
    redis.call('DEL', KEYS[3])
end
local now = tonumber(redis.call('TIME')[1])
for place = 4, #KEYS do
    put(KEYS[place], ARGV[place + 1], now, tonumber(ARGV[4]), false)
end
return 1
