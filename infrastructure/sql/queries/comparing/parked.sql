-- The streams of which an event lies among the dead letters.
SELECT DISTINCT stream_id FROM dead_letters
