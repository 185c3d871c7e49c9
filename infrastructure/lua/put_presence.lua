-- Put heartbeats, none in place of a later one. KEYS: the agents' keys. ARGV: their seconds to live, then their
-- values. A value begins with its moment in sixteen digits.
for place = 1, #KEYS do
    local value = ARGV[place + 1]
    local held = redis.pcall('GETRANGE', KEYS[place], 0, 15)
    if type(held) ~= 'string' or held < string.sub(value, 1, 16) then
        redis.call('SET', KEYS[place], value, 'EX', ARGV[1])
    end
end
