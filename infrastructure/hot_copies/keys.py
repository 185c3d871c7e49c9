"""The names of a tenant's keys in Redis. All have its cluster tag, so that one script may touch several."""

SCRIPT_KEYS = 500
"""So many keys at most are given to one call of a script."""


def stamp(number: int) -> str:
    """Sixteen digits, so that text compares as numbers do."""
    return f"{number:016d}"


class Keys:
    """The names of one tenant's keys."""

    def __init__(self, tenant: str) -> None:
        self.prefix = f"dora-state:{{{tenant}}}:"
        self.mark = self.prefix + "mark"
        self.floor = self.prefix + "floor"
        self.lease = self.prefix + "lease"
        self.counts = self.prefix + "counts"
        self.changes = self.prefix + "changes"
        self.asked = self.prefix + "asked"
        self.decayed = self.prefix + "decayed"
        self.documents = self.prefix + "doc:"
        self.presences = self.prefix + "presence:"

    def document(self, kind: str, id: str) -> str:
        return f"{self.documents}{kind}:{id}"

    def presence(self, agent_id: str) -> str:
        return self.presences + agent_id
