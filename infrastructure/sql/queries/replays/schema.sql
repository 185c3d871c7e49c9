CREATE SCHEMA {schema};
GRANT USAGE ON SCHEMA {schema} TO dora_state_writer, dora_state_projector
