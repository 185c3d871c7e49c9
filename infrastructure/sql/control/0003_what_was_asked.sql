-- What else was asked for than a cut: filters, pages, formats. Cuts alone do not tell what somebody saw.
ALTER TABLE readings ADD COLUMN asked jsonb NOT NULL DEFAULT '{}';

GRANT INSERT (asked) ON readings TO dora_state_writer;
