-- Ask for a retry or a drop of these streams (null: of all); gives the streams.
WITH told AS (
    UPDATE dead_letters SET asked = %(what)s WHERE %(stream_ids)s::text[] IS NULL OR stream_id = ANY (%(stream_ids)s)
    RETURNING stream_id
)
SELECT DISTINCT stream_id FROM told ORDER BY stream_id
