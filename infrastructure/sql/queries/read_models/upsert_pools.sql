-- Write documents of pools with what they are found by, set-wise; parameters are arrays, a place a document.
INSERT INTO pools (
    id, position, state, next_expiry, cpu_total, cpu_allocated, memory_total, memory_allocated,
    storage_total, storage_allocated,
    document
)
SELECT
    id, position, state, next_expiry, cpu_total, cpu_allocated, memory_total, memory_allocated,
    storage_total, storage_allocated,
    document::json
FROM unnest(
    %(id)b::text[],
    %(position)b::bigint[],
    %(state)b::text[],
    %(next_expiry)b::timestamptz[],
    %(cpu_total)b::numeric[],
    %(cpu_allocated)b::numeric[],
    %(memory_total)b::numeric[],
    %(memory_allocated)b::numeric[],
    %(storage_total)b::numeric[],
    %(storage_allocated)b::numeric[],
    %(document)b::text[]
) AS new (
    id, position, state, next_expiry, cpu_total, cpu_allocated, memory_total, memory_allocated,
    storage_total, storage_allocated, document
)
ON CONFLICT (id) DO UPDATE SET
    position = excluded.position,
    state = excluded.state,
    next_expiry = excluded.next_expiry,
    cpu_total = excluded.cpu_total,
    cpu_allocated = excluded.cpu_allocated,
    memory_total = excluded.memory_total,
    memory_allocated = excluded.memory_allocated,
    storage_total = excluded.storage_total,
    storage_allocated = excluded.storage_allocated,
    document = excluded.document
WHERE pools.position < excluded.position
