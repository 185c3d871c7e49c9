-- How far the read models are.
SELECT position, recorded_at FROM checkpoints WHERE name = 'read_models'
