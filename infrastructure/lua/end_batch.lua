-- A batch is copied: the copies are good up to its end. KEYS: mark, counts, changes. ARGV: the batch's end,
-- how many changes to keep, the length of the list of counts, that list (name, count, ...), then the changes
-- (kind, id, position, state, ...).
local mark = redis.call('GET', KEYS[1])
if mark and mark >= ARGV[1] then
    return 0
end
redis.call('SET', KEYS[1], ARGV[1])
local place = 4
local last = 3 + tonumber(ARGV[3])
while place < last do
    redis.call('HSET', KEYS[2], ARGV[place], ARGV[place + 1])
    place = place + 2
end
redis.call('HSET', KEYS[2], 'position', string.format('%.0f', tonumber(ARGV[1])))
while place < #ARGV do
    redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[2], '*',
        'kind', ARGV[place], 'id', ARGV[place + 1], 'position', ARGV[place + 2], 'state', ARGV[place + 3])
    place = place + 4
end
return 1
