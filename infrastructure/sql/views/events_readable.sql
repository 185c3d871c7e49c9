-- The events with data and metadata as jsonb, for people with SQL.
CREATE OR REPLACE VIEW events_readable AS
SELECT e.position, e.recorded_at, e.stream_id, e.version, e.type, e.schema_version, readable(e.data) AS data,
    readable(e.metadata) AS metadata, e.event_id, e.following
FROM events e;

GRANT SELECT ON events_readable TO dora_state_writer, dora_state_projector;
