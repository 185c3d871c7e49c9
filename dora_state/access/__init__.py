"""Who may: callers, their roles, and what is kept of who looked at what."""
