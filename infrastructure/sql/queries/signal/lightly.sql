-- What is written so is a hint: one that a crash loses is made up for by whoever looks by himself. No flush for it.
SET synchronous_commit TO off
