SELECT * FROM append(
    $1::uuid[], $2::bytea[], $3::int[], $4::timestamptz[],
    $5::text[], $6::int[], $7::int[], $8::bigint[], $9::int[],
    $10::int[], $11::uuid[], $12::text[], $13::int[], $14::bytea[], $15::bytea[],
    $16::uuid, $17::int[], $18::bigint[]
)
