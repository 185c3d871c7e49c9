-- We are still at it: what is to be done elsewhere takes its time.
SELECT
