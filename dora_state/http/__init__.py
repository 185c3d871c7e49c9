"""The way in over HTTP: commands, reads, events as they are recorded. docs/http.md tells how it is used."""
