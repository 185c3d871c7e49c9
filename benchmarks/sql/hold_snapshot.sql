-- A long reader: what was there when it began must be kept for it.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM peer;
