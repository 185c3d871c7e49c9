-- How far a projection is, which version of it, which generation of its tables, and in whose term.
SELECT position, recorded_at, version, generation, term FROM checkpoints WHERE name = %(name)s
