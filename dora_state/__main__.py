"""`python -m dora_state` is the command `dora-state`."""

from dora_state.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
