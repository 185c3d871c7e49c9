"""JSON from a server that we do not trust: within a time, of a size, and of the shape that was expected."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from typing import Any, TypeVar
from urllib.parse import urlsplit

from supply.known import NotAsked

T = TypeVar("T")
SECONDS = 20.0
MOST_BYTES = 64 * 2**20


def fetch_json(url: str, body: Any = None) -> Any:
    """What is at a URL; with a body, what is answered to it. Raises NotAsked."""
    host = urlsplit(url).hostname
    request = urllib.request.Request(
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Accept": "application/json", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            text = answer.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise NotAsked(f"{host} answers with more than {MOST_BYTES >> 20} MiB")
        return json.loads(text)
    except urllib.error.HTTPError as error:
        error.close()
        raise NotAsked(f"{host} answers {error.code} to {urlsplit(url).path}") from None
    except (OSError, HTTPException) as error:
        raise NotAsked(f"{host} can't be reached ({getattr(error, 'reason', None) or error})") from None
    except (ValueError, RecursionError):
        raise NotAsked(f"{host} answers with something else than JSON") from None


def understood(who: str, read: Callable[[], T]) -> T:
    """What is read out of an answer, where that is of another shape than its makers say. Raises NotAsked."""
    try:
        return read()
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise NotAsked(f"{who} answers in another way than it is known to ({type(error).__name__}: {error})") from None
