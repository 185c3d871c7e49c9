"""Answers of commands, as HTTP tells them: alone with a status of its own, in an array each with the status in it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from starlette.responses import Response

from commands.envelope import Answer, Outcome, Problem
from domain.log import AlreadyRecorded
from dora_state.http.operations import JSON
from dora_state.http.problems import as_json, of_problem, problem_response, sort_of

MULTI_STATUS = 207
REPEATED = "Idempotent-Replayed"


def status_of(answer: Answer) -> int:
    return 200 if answer.problem is None else sort_of(answer.problem.code).status


def answer_document(answer: Answer) -> dict[str, Any]:
    return {
        "status": status_of(answer),
        "command_id": answer.command_id,
        "type": answer.type,
        "outcome": answer.outcome,
        "versions": answer.versions,
        "position": answer.position,
        "recorded_at": answer.recorded_at,
        "repeated": answer.repeated,
        "problem": None if answer.problem is None else of_problem(answer.problem),
    }


def answer_response(answer: Answer, headers: Mapping[str, str]) -> Response:
    """What was accepted is told as it is; what was not is a problem that has the answer with it."""
    if answer.repeated:
        headers = {**headers, REPEATED: "true"}
    document = answer_document(answer)
    problem = answer.problem
    if problem is None:
        return Response(as_json(document), 200, headers, JSON)
    del document["problem"]
    return problem_response(problem.code, problem.message, problem.facts, headers=headers, more={"answer": document})


def answers_response(answers: list[Answer], headers: Mapping[str, str]) -> Response:
    """In the order of the commands."""
    return Response(as_json([answer_document(one) for one in answers]), MULTI_STATUS, headers, JSON)


def recorded_answer(command_id: UUID, recorded: AlreadyRecorded) -> Answer:
    """What the log keeps for a command id."""
    stored: dict[str, Any] = orjson.loads(recorded.answer)
    problem, outcome = stored.get("problem"), stored["outcome"]
    told: Outcome = outcome
    return Answer(
        command_id=command_id,
        type=stored["type"],
        outcome=told,
        versions=stored.get("versions", {}),
        position=recorded.last_position,
        recorded_at=recorded.recorded_at,
        problem=None if problem is None else Problem(problem["code"], problem["message"], problem["facts"]),
        repeated=True,
    )
