"""How Redis is, and what a process keeps of the read models beside it."""

from dora_state.caches import NearVitals
from dora_state.health.judging import MEGA, Check, Figure
from infrastructure.vitals import CacheVitals

SLOW_CACHE = 0.1


def judge_cache(found: CacheVitals | str | None) -> Check:
    if found is None:
        return Check("healthy", "No Redis is set; answers come from PostgreSQL.", {"configured": False})
    if isinstance(found, str):
        return Check("unhealthy", found, {"configured": True})
    figures: dict[str, Figure] = {
        "configured": True,
        "seconds": round(found.seconds, 5),
        "server": found.server,
        "server_version": found.server_version,
        "used_bytes": found.used_bytes,
        "max_bytes": found.max_bytes or None,
        "copies_position": found.position,
    }
    if found.full:
        message = (
            f"{found.server} is full, at {found.used_bytes / MEGA:.0f} of {found.max_bytes / MEGA:.0f} MB, and takes "
            "nothing more: give it more, or a maxmemory-policy that makes room."
        )
        return Check("warning", message, figures)
    message = f"{found.server} {found.server_version} answers in {1000 * found.seconds:.1f} ms."
    return Check("warning" if found.seconds > SLOW_CACHE else "healthy", message, figures)


def judge_near(near: NearVitals, cache: Check) -> Check:
    """What a process keeps of the read models, beside the cache that it hears of changes by."""
    figures = {
        **cache.figures,
        "near_usable": near.usable,
        "near_documents": near.documents,
        "near_bytes": near.bytes,
        **{f"{level}_{name}": value for level, facts in near.levels.items() for name, value in facts.items()},
    }
    if cache.status == "healthy" and near.wanted and not near.listening:
        message = f"{cache.message[:-1]}, but changes are not heard of: this process keeps no documents for now."
        return Check("warning", message, figures)
    if cache.status == "healthy" and near.failing:
        message = f"{cache.message[:-1]}, but failed this process a moment ago: it reads from PostgreSQL for now."
        return Check("warning", message, figures)
    return Check(cache.status, cache.message, figures)
