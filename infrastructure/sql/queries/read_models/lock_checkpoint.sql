-- How far the read models are; nobody else moves the checkpoint until this transaction ends.
SELECT position FROM checkpoints WHERE name = 'read_models' FOR UPDATE
