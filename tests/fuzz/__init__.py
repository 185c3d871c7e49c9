"""Whatever comes in from outside is taken or clearly refused: a little in `make test`, for an hour by `make fuzz`."""
