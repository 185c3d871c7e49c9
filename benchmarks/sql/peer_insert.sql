-- One row a transaction, as an application without a log of its own would insert it.
\set version random(1, 1000000)
INSERT INTO peer (stream_id, version, data) VALUES ('task-t-1', :version, repeat('x', 160)::bytea);
