-- A projector is at a position, and nothing comes: the copies are kept, and what Redis has lost is set again. In an
-- era of others, nothing happens for as long as somebody keeps it. KEYS: mark, floor, lease, counts. ARGV: position,
-- the projector's era, a new one, generation, milliseconds of a lease, then the counts (name, count, ...), if known.
-- Gives the era in which to copy; '' is none.
local mark, floor, era, generation = standing(KEYS[1], KEYS[2])
if era == TURNED or (mark and era == ARGV[2] and mark > ARGV[1]) then
    return ''
end
local left = redis.call('PTTL', KEYS[3])
local fresh = false
if era ~= ARGV[2] then
    if era and left > 0 and string.sub(redis.call('MGET', KEYS[3])[1] or '', 33) == era then
        return ''
    end
    floor, era, fresh = ARGV[1], ARGV[3], true
    redis.call('SET', KEYS[2], ARGV[1] .. era .. ARGV[4])
elseif mark ~= ARGV[1] then
    floor, fresh = ARGV[1], true
    redis.call('SET', KEYS[2], ARGV[1] .. era .. generation)
end
if fresh or left < 0.8 * tonumber(ARGV[5]) then
    redis.call('SET', KEYS[1], ARGV[1])
    keep(KEYS[3], ARGV[1], floor, era, ARGV[5])
end
if #ARGV > 5 and (fresh or redis.call('EXISTS', KEYS[4]) == 0) then
    count(KEYS[4], ARGV[1], ARGV, 6, #ARGV)
end
return era
