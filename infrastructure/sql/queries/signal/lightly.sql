-- A notification that a crash loses is made up for by whoever looks by himself: no flush for it.
SET synchronous_commit TO off
