"""Commands from outside: one, or an array of which each is answered on its own."""

import asyncio
import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote
from uuid import UUID

from starlette.responses import Response

from commands.edge import MAX_BYTES
from commands.envelope import Answer, Envelope, Problem
from commands.strict_json import parse_commands
from domain.errors import DoraStateError, InvalidInput
from dora_state.access.caller import Forbidden
from dora_state.http.answers import answer_document, answer_response, answers_response, recorded_answer
from dora_state.http.call import Call
from dora_state.http.going_back import look_back
from dora_state.http.lock_tokens import require_own, tokens_of
from dora_state.http.operations import JSON
from dora_state.http.parameters import parse_id, parse_uuid
from dora_state.http.problems import RequestError, as_json

MOST_COMMANDS = 1_000
CORRELATION = "X-Correlation-Id"
_VERSION = re.compile(r'"?([0-9]{1,18})"?')
_TAG = re.compile(r'"([a-z]+)-([^"]+)-v([0-9]{1,18})-[0-9a-f]{12}"')


@dataclass(frozen=True, slots=True)
class Said:
    """What headers say about the commands of a request."""

    command_id: UUID | None
    correlation_id: str | None
    expected: str | None
    respond_async: bool
    tokens: tuple[int, ...] = ()

    @staticmethod
    async def by(call: Call) -> "Said":
        """Raises InvalidInput that names the header, Forbidden for the token of another's lock."""
        correlation = call.header(b"x-correlation-id")
        prefer = call.header(b"prefer") or ""
        return Said(
            command_id=call.idempotency_key(),
            correlation_id=None if correlation is None else parse_id(correlation, CORRELATION),
            expected=call.header(b"if-match"),
            respond_async="respond-async" in {one.strip().lower() for one in re.split("[,;]", prefer)},
            tokens=await _own_tokens(call),
        )

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.correlation_id is None else {CORRELATION: self.correlation_id}


async def _own_tokens(call: Call) -> tuple[int, ...]:
    tokens = tokens_of(call.header(b"lock-token"))
    return await require_own(call, tokens) if tokens else ()


async def submit_commands(call: Call) -> Response:
    said, raw = await Said.by(call), await call.body()
    given = parse_commands(raw)
    if isinstance(given, list):
        return await _submit_many(call, said, given)
    if len(raw) > MAX_BYTES:
        raise RequestError(
            "body_too_large",
            f"The command has {len(raw)} bytes and the limit is {MAX_BYTES}; send less.",
            limit=MAX_BYTES,
        )
    return await submit_one(call, said, given)


async def submit_one(call: Call, said: Said, given: object) -> Response:
    """Answered by what became of it, or, where the caller prefers not to wait, by where to ask."""
    try:
        envelope = checked(call, given, said)
    except InvalidInput as error:
        return answer_response(_invalid(call, error), said.headers)
    await look_back(call, [envelope])
    if said.respond_async:
        return await _without_waiting(call, said, envelope)
    return answer_response(await call.manager.submit(envelope), said.headers)


async def _submit_many(call: Call, said: Said, given: list[Any]) -> Response:
    """The bus decides them in their order; a broken one harms no other."""
    if not 1 <= len(given) <= MOST_COMMANDS:
        raise InvalidInput(
            f"An array has 1 to {MOST_COMMANDS:,} commands, and this has {len(given):,}; send them in several.",
            field="commands",
        )
    for name, value in (("Idempotency-Key", said.command_id), ("If-Match", said.expected)):
        if value is not None:
            raise InvalidInput(
                f"{name}: is of a single command; in an array each has its command_id and expected_version.", field=name
            )
    call.server.rate.take(call.caller.credential or call.caller.name, len(given) - 1)
    taken = [_taken(call, said, one) for one in given]
    await look_back(call, [one for one in taken if isinstance(one, Envelope)])
    tasks = [asyncio.create_task(_answered(call, one)) for one in taken]
    return answers_response(await asyncio.gather(*tasks), said.headers)


def _taken(call: Call, said: Said, given: object) -> Envelope | Answer:
    """A command, or why it is none."""
    if isinstance(given, InvalidInput):
        return _invalid(call, given)
    try:
        return checked(call, given, said)
    except (InvalidInput, Forbidden) as error:
        return _invalid(call, error)


async def _answered(call: Call, taken: Envelope | Answer) -> Answer:
    return taken if isinstance(taken, Answer) else await call.manager.submit(taken)


def checked(call: Call, given: object, said: Said) -> Envelope:
    """A command with what headers say of it, and with who sends it. Raises InvalidInput, Forbidden."""
    caller = call.caller
    if isinstance(given, dict):
        actor = given.get("actor", caller.name)
        if actor != caller.name and not caller.acts_for_others:
            refused = Forbidden(
                f"{caller.name} may not act for others; leave the actor out, or ask with an orchestrator's key.",
                role=caller.role,
            )
            call.note_refusal(refused)
            raise refused
        given = _with_headers(given, said)
    envelope = call.server.edge_of(caller).check(given)
    if said.expected is not None:
        envelope = _expecting(envelope, said.expected)
    if said.tokens:
        envelope = replace(envelope, tokens=said.tokens)
    if caller.credential is None:
        return envelope  # nobody was authenticated
    # A name may be used again; the key or token that it was is known by its id.
    return replace(envelope, note={"authenticated": caller.name, "credential": caller.credential})


def _with_headers(given: dict[str, Any], said: Said) -> dict[str, Any]:
    key = said.command_id
    if key is not None and not _is_same(given.setdefault("command_id", str(key)), key):
        raise InvalidInput("Idempotency-Key: differs from the command_id; give one of them.", field="command_id")
    if said.correlation_id is not None:
        given.setdefault("correlation_id", said.correlation_id)
    return given


def _is_same(given: object, key: UUID) -> bool:
    try:
        return isinstance(given, str) and UUID(given) == key
    except ValueError:
        return False


def _expecting(envelope: Envelope, said: str) -> Envelope:
    """`If-Match` names a version, or is the tag of the aggregate that the command names. Raises InvalidInput."""
    number, tag = _VERSION.fullmatch(said), _TAG.fullmatch(said)
    if number is None and tag is None:
        raise InvalidInput(
            'If-Match: must be the ETag of what the command is about, or a version such as "7".', field="If-Match"
        )
    version = int(number[1] if number is not None else tag[3])  # type: ignore[index]  # one of them is there
    if tag is not None:
        stream_id = f"{tag[1]}-{unquote(tag[2])}"
        if stream_id != envelope.command.stream_id:
            raise InvalidInput(
                f"If-Match: is the tag of {stream_id}, and the command is about {envelope.command.stream_id}.",
                field="If-Match",
            )
    if envelope.expected_version not in (None, version):
        raise InvalidInput("If-Match: differs from the expected_version; give one of them.", field="expected_version")
    return replace(envelope, expected_version=version)


async def _without_waiting(call: Call, said: Said, envelope: Envelope) -> Response:
    task = asyncio.create_task(call.manager.submit(envelope), name=f"command {envelope.command_id}")
    call.server.pending.add(envelope.command_id, task)
    await asyncio.sleep(0)  # a full queue answers at once
    if task.done():
        return answer_response(task.result(), said.headers)
    location = f"/v1/commands/{envelope.command_id}"
    document = {"status": 202, "command_id": envelope.command_id, "type": envelope.command.type, "location": location}
    headers = said.headers | {"Location": location, "Preference-Applied": "respond-async"}
    return Response(as_json(document), 202, headers, JSON)


async def get_command(call: Call) -> Response:
    """What a command was answered: by the log, or by this process where the log does not keep it."""
    command_id = parse_uuid(call.id(), "id")
    recorded = await call.manager.platform.log.find_command(command_id)
    if recorded is not None:
        return _told(recorded_answer(command_id, recorded))
    pending = call.server.pending
    if (answer := pending.not_recorded(command_id)) is not None:
        return _told(answer)
    if pending.is_under_way(command_id):
        location = f"/v1/commands/{command_id}"
        document = {"status": 202, "command_id": command_id, "type": None, "location": location}
        return Response(as_json(document), 202, {"Retry-After": "1"}, JSON)
    raise RequestError(
        "not_found",
        f"No command {command_id} is recorded; send it, with this id, if it is to happen.",
        command_id=str(command_id),
    )


def _told(answer: Answer) -> Response:
    """Asking went well, whatever became of the command: its status stands in the answer."""
    return Response(as_json(answer_document(answer)), 200, None, JSON)


def _invalid(call: Call, error: DoraStateError) -> Answer:
    """As much of what was asked as could be read stands in the answer. It is counted: it comes to no bus."""
    facts = dict(error.facts)
    command_id, name = facts.pop("command_id", None), facts.get("type")
    told = name if isinstance(name, str) else None
    call.manager.platform.bus.figures.invalid(told)
    problem = Problem(error.code, error.message, facts)
    return Answer(UUID(command_id) if isinstance(command_id, str) else None, told, "invalid", problem=problem)
