-- One row a transaction, as large as an event of ours, as an application without a log of its own would insert it.
\set version random(1, 1000000)
INSERT INTO peer (stream_id, version, data, metadata) VALUES ('task-t-1', :version, repeat('x', 80)::bytea, repeat('x', 235)::bytea);
