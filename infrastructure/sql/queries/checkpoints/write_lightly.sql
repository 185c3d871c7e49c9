-- A crash that loses the last commits loses rows and checkpoint together, and both are made again from the log. And whoever is
-- stopped within a transaction does not hold the checkpoint for long, also where nobody else may end its session.
SET synchronous_commit TO off;
SET idle_in_transaction_session_timeout TO '10s'
