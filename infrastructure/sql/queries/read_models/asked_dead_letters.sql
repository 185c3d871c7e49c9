-- What was asked of streams with dead letters.
SELECT DISTINCT stream_id, asked FROM dead_letters WHERE asked IS NOT NULL
