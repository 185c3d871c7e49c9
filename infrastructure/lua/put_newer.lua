-- Put copies, none in place of a newer one. KEYS: the copies. ARGV: their seconds to live, then their values.
-- A value begins with its position in sixteen digits; one of 32 characters says only that what is older is
-- outdated, and gives way to the document itself.
for place = 1, #KEYS do
    local value = ARGV[place + 1]
    local position = string.sub(value, 1, 16)
    local held = redis.call('GETRANGE', KEYS[place], 0, 15)
    local newer = held < position
    if held == position and #value > 32 then
        newer = true
    end
    if newer then
        redis.call('SET', KEYS[place], value, 'EX', ARGV[1])
    end
end
