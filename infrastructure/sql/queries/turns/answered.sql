SELECT command_id, answer, recorded_at, first_position, last_position FROM commands WHERE command_id = ANY ($1::uuid[])
