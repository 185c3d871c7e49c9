-- Leaves commands, and tells which of them were recorded before: those are answered already.
WITH left_here AS (INSERT INTO asked (submission) SELECT unnest($1::bytea[]))
SELECT command_id, answer, recorded_at, first_position, last_position FROM commands WHERE command_id = ANY ($2::uuid[])
