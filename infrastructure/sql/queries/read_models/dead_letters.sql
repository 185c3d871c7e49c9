-- The streams of which events could not be applied, by their ids: the first of each with its error, and how many there are.
SELECT d.stream_id, d.version, d.position, d.type, d.error, d.parked_at, d.events, d.asked
FROM (
    SELECT *, row_number() OVER w AS place, count(*) OVER (PARTITION BY stream_id) AS events
    FROM dead_letters
    WHERE stream_id > %(after)s AND (%(stream_id)s::text IS NULL OR stream_id = %(stream_id)s)
    WINDOW w AS (PARTITION BY stream_id ORDER BY version)
) d
WHERE d.place = 1
ORDER BY d.stream_id LIMIT %(limit)s
