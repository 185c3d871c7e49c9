-- Copies of what readers found in the tables, after a glance at the copies in the same era. KEYS: mark, floor, the
-- copies. ARGV: seconds of a first life, the copies.
local _, floor, era = standing(KEYS[1], KEYS[2])
local now = tonumber(redis.call('TIME')[1])
for place = 3, #KEYS do
    local value = ARGV[place - 1]
    if era == string.sub(value, 33, 48) and string.sub(value, 17, 32) >= floor then
        put(KEYS[place], value, now, tonumber(ARGV[1]), true)
    end
end
