"""How long something is to be tried, as whoever runs it says."""

import argparse
import math

LONGEST = 86_400.0


def seconds(text: str) -> float:
    """An argument's type: raises ArgumentTypeError, ValueError."""
    value = float(text)
    if math.isnan(value) or not 0 < value <= LONGEST:
        raise argparse.ArgumentTypeError(f"must be seconds, more than 0 and at most {LONGEST:.0f}, and is {text}")
    return value
