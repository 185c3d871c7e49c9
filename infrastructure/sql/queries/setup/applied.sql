SELECT name, checksum, to_jsonb(m) ->> 'works_beside' FROM migrations m
