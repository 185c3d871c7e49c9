-- A crash that loses the last commits loses rows and checkpoint together, and both are made again from the log.
SET synchronous_commit TO off
