"""Real processes under faults drawn from a seed, and then the checker: `make torture`."""
