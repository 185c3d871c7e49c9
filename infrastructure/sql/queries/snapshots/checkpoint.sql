-- Up to where the log was looked through for snapshots that are due.
SELECT position FROM checkpoints WHERE name = %(name)s
