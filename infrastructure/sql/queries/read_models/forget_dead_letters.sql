-- The dead letters of a stream up to a version, which were applied now or are let be.
DELETE FROM dead_letters WHERE stream_id = %(stream_id)s AND version <= %(version)s
