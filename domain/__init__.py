"""What the platform knows and may do: events, aggregates, folds and errors. Pure; imports nothing of ours."""
