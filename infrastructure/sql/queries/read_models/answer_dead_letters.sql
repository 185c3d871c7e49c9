-- What was asked was done, as far as it could be: what is left of the stream waits again.
UPDATE dead_letters SET asked = NULL WHERE stream_id = %(stream_id)s AND asked IS NOT NULL
