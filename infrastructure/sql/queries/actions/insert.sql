-- Write actions set-wise: an array a column; streams and types, of which an action has many, as JSON lists.
INSERT INTO actions (
    position, first_position, recorded_at, occurred_at, actor, command_type, command_id, correlation_id, causation_id,
    stream_ids, event_types
)
SELECT
    position, first_position, recorded_at, occurred_at, actor, command_type, command_id, correlation_id, causation_id,
    ARRAY(SELECT json_array_elements_text(stream_ids::json)), ARRAY(SELECT json_array_elements_text(event_types::json))
FROM unnest(
    %(position)b::bigint[],
    %(first_position)b::bigint[],
    %(recorded_at)b::timestamptz[],
    %(occurred_at)b::timestamptz[],
    %(actor)b::text[],
    %(command_type)b::text[],
    %(command_id)b::text[],
    %(correlation_id)b::text[],
    %(causation_id)b::text[],
    %(stream_ids)b::text[],
    %(event_types)b::text[]
) AS new (
    position, first_position, recorded_at, occurred_at, actor, command_type, command_id, correlation_id, causation_id,
    stream_ids, event_types
)
