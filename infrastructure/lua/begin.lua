-- A projector begins at a position, over tables of a generation. Copies of the same generation go on being
-- believed as far as they are known to be good; all others, and those that claim to be further, never are again.
-- KEYS: mark, floor, lease, counts, changes. ARGV: position, generation, a new era, milliseconds of a lease.
-- Gives the era in which to copy.
local mark, floor, era, generation = standing(KEYS[1], KEYS[2])
if era and era ~= TURNED and generation == ARGV[2] and (mark or '') <= ARGV[1] then
    if mark ~= ARGV[1] then
        floor = ARGV[1]
        redis.call('SET', KEYS[2], ARGV[1] .. era .. generation)
    end
else
    if mark and mark > ARGV[1] then
        redis.call('DEL', KEYS[4], KEYS[5])
    end
    floor, era = ARGV[1], ARGV[3]
    redis.call('SET', KEYS[2], ARGV[1] .. era .. ARGV[2])
end
redis.call('SET', KEYS[1], ARGV[1])
keep(KEYS[3], ARGV[1], floor, era, ARGV[4])
return era
