-- Again where it is not known whether it was written.
INSERT INTO reading_ends (id, rows)
SELECT id, rows FROM jsonb_to_recordset(%(ends)s::jsonb) AS e (id uuid, rows bigint)
ON CONFLICT DO NOTHING
