-- The same; nobody else moves the checkpoint until this transaction ends.
SELECT position, recorded_at, version, generation, term FROM checkpoints WHERE name = %(name)s FOR UPDATE
