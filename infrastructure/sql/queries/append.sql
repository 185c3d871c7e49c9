SELECT * FROM append(
    %b::uuid[], %b::bytea[], %t::int[], %t::timestamptz[],
    %t::text[], %t::int[], %t::int[], %t::bigint[], %t::int[],
    %t::int[], %b::uuid[], %t::text[], %t::int[], %b::bytea[], %b::bytea[],
    %b::uuid
)
