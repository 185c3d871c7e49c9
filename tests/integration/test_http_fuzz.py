"""Requests that the description allows, or just does not: never a 5xx, never an answer that it does not know.

DORA_STATE_TEST_FUZZ says how many of each operation; `make fuzz` sends others in each of its rounds.
"""

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from pydantic import ValidationError
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from dora_state.http.api import OPERATIONS
from dora_state.http.description import openapi_document
from dora_state.http.locking import LockBody
from dora_state.http.operations import Operation
from tests.support.http import a_workflow, asked_by_port
from tests.support.tenants import lent

pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning")
"""schemathesis asks Python's own random numbers now and then."""
EACH = int(os.environ.get("DORA_STATE_TEST_FUZZ", "3"))
TRUE_OF_EVERY_ANSWER = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
STREAMING = ["followEvents"]
"""Answers without an end are tried elsewhere."""


@contextmanager
def served(database_url: str, redis_url: str) -> Iterator[str]:
    """The address of a server with something to find, in a thread of its own."""
    told, stop = threading.Event(), threading.Event()
    address = []

    async def serve() -> None:
        async with lent(database_url) as tenant, asked_by_port(database_url, redis_url, tenant) as asked:
            await a_workflow(asked, "wf", tasks=2)
            await asked.catch_up()
            address.append(str(asked.client.base_url))
            told.set()
            await asyncio.to_thread(stop.wait)

    with ThreadPoolExecutor(max_workers=1) as thread:
        serving = thread.submit(asyncio.run, serve())
        try:
            while not told.wait(0.1):
                if serving.done():
                    serving.result()
            yield address[0]
        finally:
            stop.set()
            serving.result()


@pytest.fixture(scope="module")
def address(database_url: str, redis_url: str) -> Iterator[str]:
    with served(database_url, redis_url) as address:
        yield address


@pytest.fixture(scope="module")
def schema() -> Any:
    return schemathesis.openapi.from_dict(openapi_document(OPERATIONS))


def has_parameters(operation: Operation) -> bool:
    """Where there are none, nothing can be wrong with them."""
    return bool(operation.query.model_fields or operation.headers or operation.body or "{" in operation.path)


def is_lock(body: Any) -> bool:
    """The answer to that has no end either: what is asked here is what is no lock."""
    try:
        LockBody.model_validate(body)
    except ValidationError:
        return False
    return True


TRIED = [
    pytest.param(one, mode, id=f"{one.id}-{mode.value}")
    for one in OPERATIONS
    for mode in GenerationMode
    if one.id not in STREAMING and (mode is GenerationMode.POSITIVE or has_parameters(one))
]


@pytest.mark.parametrize(("operation", "mode"), TRIED)
@pytest.mark.timeout(3600 if EACH > 100 else 60)
def test_whatever_is_asked_is_answered_as_it_is_described(
    address: str, schema: Any, operation: Operation, mode: GenerationMode
) -> None:
    described = schema[operation.path][operation.method]

    @settings(
        max_examples=EACH,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=described.as_strategy(generation_mode=mode))
    def ask(case: Case[Any]) -> None:
        assume(operation.id != "takeLock" or not is_lock(case.body))
        answer = case.call(base_url=address)
        if operation.id not in ("getReady", "getHealth"):
            assert answer.status_code < 500, answer.text
        case.validate_response(answer, checks=TRUE_OF_EVERY_ANSWER)

    ask()
