-- Counts that were kept while the events of a stream up to a version were not applied.
DELETE FROM kept_counts WHERE position >= (
    SELECT min(position) FROM dead_letters WHERE stream_id = %(stream_id)s AND version <= %(version)s
)
