-- Write documents of systems with what they are found by, set-wise; parameters are arrays, a place a document.
INSERT INTO systems (
    id, position, state,
    document
)
SELECT
    id, position, state,
    document::json
FROM unnest(
    %(id)b::text[],
    %(position)b::bigint[],
    %(state)b::text[],
    %(document)b::text[]
) AS new (id, position, state, document)
ON CONFLICT (id) DO UPDATE SET
    position = excluded.position,
    state = excluded.state,
    document = excluded.document
WHERE systems.position < excluded.position
