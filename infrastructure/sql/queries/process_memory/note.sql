-- At the database's clock, so that what several machines note can be compared.
INSERT INTO process_memory (process, at, resident_bytes)
VALUES (%(process)s, now(), %(resident_bytes)s::bigint)
ON CONFLICT DO NOTHING
