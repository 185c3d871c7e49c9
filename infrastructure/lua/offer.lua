-- A copy of what a reader found in the tables, after a glance at the copies in the same era. KEYS: mark, floor, the
-- copy. ARGV: seconds of a first life, the copy.
local _, floor, era = standing(KEYS[1], KEYS[2])
if era == string.sub(ARGV[2], 33, 48) and string.sub(ARGV[2], 17, 32) >= floor then
    put(KEYS[3], ARGV[2], tonumber(redis.call('TIME')[1]), tonumber(ARGV[1]), true)
end
