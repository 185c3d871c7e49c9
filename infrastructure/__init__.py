"""Adapters: event store, projection store, Redis, presence, embedded servers, XES files."""
