-- Move the counts of documents by kind and state.
INSERT INTO counts (kind, state, count)
SELECT * FROM unnest(%(kind)b::text[], %(state)b::text[], %(change)b::bigint[])
ON CONFLICT (kind, state) DO UPDATE SET count = counts.count + excluded.count
