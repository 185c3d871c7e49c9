"""What is promised, and what is told where it is not kept."""

from collections.abc import Mapping
from dataclasses import dataclass

PROMISES: Mapping[str, str] = {
    "lost": "A command that was acknowledged is in the log, as its answer says.",
    "twice": "A command is in the log once at most, and all answers to it are the same.",
    "invented": "Nothing of a command that was refused or in conflict is in the log, nor what nobody asked for.",
    "positions": "Positions are contiguous from 1.",
    "versions": "Versions of each stream are contiguous from 1.",
    "times": "No event was recorded before the one in front of it.",
    "divided": "The events of a command stand together, and no read and no follower ends within them.",
    "expected": "A command that named versions was decided on these.",
    "followers": "Every follower saw every event once, in order.",
    "reads": "What was read was so at that moment.",
    "own_writes": "A read that asked for a position includes it.",
    "invariants": "What must hold between aggregates holds after every command.",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is not as promised: the name of the promise, and what is known, in a sentence."""

    promise: str
    says: str
