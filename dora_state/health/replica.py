"""How the reading replica is, and whether questions go there."""

from dora_state.health.judging import MEGA, Check
from infrastructure.replica import Replica, Sight


def judge_sight(found: Sight | str) -> Check:
    """By one look at both servers."""
    if isinstance(found, str):
        return Check("warning", f"The replica can't be read, and questions go to the primary. {found}")
    figures = {"position": found.position, "behind_bytes": found.behind}
    if found.fault is not None:
        return Check("warning", f"The replica {found.fault}; questions go to the primary.", figures)
    if found.behind is None:
        return Check("healthy", "The replica answers.", figures)
    return Check("healthy", f"The replica answers, {found.behind / MEGA:.1f} MB behind the primary.", figures)


def judge_replica(replica: Replica, sight: Check) -> Check:
    """By what a process that is open has seen of it since."""
    figures = {
        **sight.figures,
        "lag_seconds": None if replica.lag is None else round(replica.lag, 3),
        "most_lag_seconds": replica.most_lag,
        "asked": replica.asked,
        "fell_back": replica.fell_back,
    }
    if sight.status == "healthy" and replica.trouble is not None:
        return Check("warning", f"The replica {replica.trouble}; questions go to the primary.", figures)
    return Check(sight.status, sight.message, figures)
