-- What stands before each script that touches copies. Sixteen digits compare as text. A floor is a position, an
-- era and the generation of the tables behind it; what is not of that shape counts as missing.
local TURNED = string.rep('-', 16)

local function whole(text)
    return text and #text == 16 and string.match(text, '^%d+$') and text
end

local function standing(mark_key, floor_key)
    local found = redis.call('MGET', mark_key, floor_key)
    local floor = found[2] or ''
    local era, generation = string.sub(floor, 17, 32), string.sub(floor, 33)
    if not whole(string.sub(floor, 1, 16)) or not string.match(generation, '^%d+$') then
        return whole(found[1])
    end
    return whole(found[1]), string.sub(floor, 1, 16), era, generation
end

-- What readers look at: up to where copies are good, from where on, and of which era; it ends if nobody keeps it.
local function keep(lease_key, mark, floor, era, milliseconds)
    redis.call('SET', lease_key, mark .. floor .. era, 'PX', milliseconds)
end

local function count(counts_key, position, names, first, last)
    if redis.call('TYPE', counts_key).ok ~= 'hash' then
        redis.call('DEL', counts_key)
    end
    for place = first, last, 2 do
        redis.call('HSET', counts_key, names[place], names[place + 1])
    end
    redis.call('HSET', counts_key, 'position', string.format('%.0f', tonumber(position)))
end

-- A copy, as it is handed to us: position, copied at, era (16 each), checksum (8), kind of body (1), body. As it is
-- kept, the second at which it dies (10) and its life in seconds (6) stand before the checksum.
local function put(key, value, now, life, asked)
    local held = redis.pcall('GETRANGE', key, 0, 72)
    local era, outdated = string.sub(value, 33, 48), string.sub(value, 57, 57) == 'o'
    local dies = now + life
    if type(held) == 'string' and #held == 73 and string.sub(held, 33, 48) == era then
        local gone = string.sub(held, 73) == 'o'
        local older, newer = string.sub(held, 1, 16), string.sub(value, 1, 16)
        if older > newer or (older == newer and (outdated or not gone)) then
            return
        end
        life = math.max(life, tonumber(string.sub(held, 59, 64)) or 0)
        if asked then
            dies = now + life
        else
            dies = math.max(dies, tonumber(string.sub(held, 49, 58)) or 0)
        end
    end
    local times = string.format('%010d%06d', dies, life)
    local kept = string.sub(value, 1, 48) .. times .. string.sub(value, 49)
    if outdated then
        redis.call('SET', key, kept, 'EX', 60)
    else
        redis.call('SET', key, kept, 'EXAT', dies)
    end
end
