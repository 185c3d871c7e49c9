-- How far a projection is, which version of it, and which generation of its tables.
SELECT position, recorded_at, version, generation FROM checkpoints WHERE name = %(name)s
