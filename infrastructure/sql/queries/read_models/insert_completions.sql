-- Workflows that were completed, set-wise.
INSERT INTO completions (position, at, workflow_id)
SELECT * FROM unnest(%(position)b::bigint[], %(at)b::timestamptz[], %(workflow_id)b::text[])
