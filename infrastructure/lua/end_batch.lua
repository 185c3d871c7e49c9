-- A batch is copied: the copies are good up to its end, and somebody keeps them. KEYS: mark, floor, lease, counts,
-- changes. ARGV: the batch's end, the projector's era, milliseconds of a lease, how many changes to keep, the length
-- of the list of counts, that list (name, count, ...), then the changes (kind, id, position, state, ...).
local mark, floor, era = standing(KEYS[1], KEYS[2])
if era ~= ARGV[2] or (mark and mark > ARGV[1]) then
    return 0
end
local last = 5 + tonumber(ARGV[5])
count(KEYS[4], ARGV[1], ARGV, 6, last)
if redis.call('TYPE', KEYS[5]).ok ~= 'stream' then
    redis.call('DEL', KEYS[5])
end
for place = last + 1, #ARGV, 4 do
    redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[4], '*',
        'kind', ARGV[place], 'id', ARGV[place + 1], 'position', ARGV[place + 2], 'state', ARGV[place + 3])
end
redis.call('SET', KEYS[1], ARGV[1])
keep(KEYS[3], ARGV[1], floor, era, ARGV[3])
return 1
