"""Tokens of locks as callers name them: a token is of use only to whom its lock was given, as others may guess it."""

from collections.abc import Sequence

from commands.locks import NO_LOCK
from domain.errors import InvalidInput
from dora_state.access.caller import Caller, Forbidden
from dora_state.http.call import Call

MOST_TOKENS = 20
MOST_DIGITS = 18


def owner_of(caller: Caller) -> str:
    """Who it is from request to request: a key by its id, as names are given again, else the subject of tokens."""
    credential = caller.credential or ""
    return credential if credential.startswith("key ") else caller.name


async def require_own(call: Call, tokens: Sequence[int]) -> tuple[int, ...]:
    """The same, with NO_LOCK for those that count no more: who guesses one must not have it when its lock is given.

    Raises Forbidden where one is another's, ReadModelsUnavailable.
    """
    owners = await call.manager.platform.locks.owners(tokens)
    for token, owner in owners.items():
        if owner != owner_of(call.caller):
            refuse(call, token)
    return tuple(token if token in owners else NO_LOCK for token in tokens)


def refuse(call: Call, token: int) -> None:
    """Raises Forbidden."""
    error = Forbidden(
        f"The lock with the token {token} is not held by {call.caller.name}; take the lock, and use its own token.",
        token=token,
    )
    call.server.refusals.note(error, caller=call.caller.name, asked=call.operation.id)
    raise error


def tokens_of(said: str | None) -> tuple[int, ...]:
    """Of the header `Lock-Token`. Raises InvalidInput."""
    if said is None:
        return ()
    found = [one.strip() for one in said.split(",")]
    if len(found) > MOST_TOKENS or not all(map(_is_token, found)):
        raise InvalidInput(
            f"Lock-Token: must be the tokens of locks that are held, with commas between, {MOST_TOKENS} at most.",
            field="Lock-Token",
        )
    return tuple(map(int, found))


def token_in_path(call: Call) -> int:
    """Raises InvalidInput."""
    token = call.id("token")
    if not _is_token(token):
        raise InvalidInput("token: must be that of a lock, as its first line told.", field="token")
    return int(token)


def _is_token(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS
