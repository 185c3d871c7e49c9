"""What is promised, and what is told where it is not kept."""

from collections.abc import Mapping
from dataclasses import dataclass

PROMISES: Mapping[str, str] = {
    "lost": "A command that was acknowledged is in the log, as its answer says.",
    "twice": "A command is in the log once at most, as is an event, and all answers to it are the same.",
    "invented": "Nothing of a command that was refused or in conflict is in the log, nor what nobody asked for;"
    " every event names its command, and who asked for it.",
    "positions": "Positions are contiguous from 1.",
    "versions": "Versions of each stream are contiguous from 1.",
    "times": "The events of a command have one time, later than that of the command before; in an import, no earlier.",
    "divided": "The events of a command stand together, and no read and no follower ends within them.",
    "order": "A command is recorded after all that its client had been told of before it asked.",
    "expected": "A command that named versions was decided on these, and is in conflict only if they are others.",
    "followers": "Every follower saw every event as it is, once, in order.",
    "reads": "What was read was so, all at one moment.",
    "own_writes": "A read that asked for a position includes it.",
    "moves": "What was there before an event allowed it.",
    "invariants": "What must hold between aggregates holds after every command.",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is not as promised: the name of the promise, and what is known, in a sentence."""

    promise: str
    says: str
