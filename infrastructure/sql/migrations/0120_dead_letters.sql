-- What was asked of the one who projects, who alone may write: to apply the events of a stream again, or to let them be.

ALTER TABLE dead_letters ADD COLUMN asked text CHECK (asked IN ('retry', 'drop'));

CREATE INDEX dead_letters_asked ON dead_letters (stream_id) WHERE asked IS NOT NULL;
