"""How the house is watched: metrics, logs, traces (docs/operations.md)."""
