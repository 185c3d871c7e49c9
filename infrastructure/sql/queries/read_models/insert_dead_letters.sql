-- Events that can't be applied, set-wise.
INSERT INTO dead_letters (position, stream_id, version, type, error)
SELECT *
FROM unnest(
    %(position)b::bigint[],
    %(stream_id)b::text[],
    %(version)b::bigint[],
    %(type)b::text[],
    %(error)b::text[]
)
