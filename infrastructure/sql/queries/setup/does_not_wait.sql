-- For this transaction: its commit does not wait for the disk. One after it that does brings it there as well.
SET LOCAL synchronous_commit = off
