"""What the type of a problem leads to."""

from starlette.responses import Response

from dora_state.http.call import Call
from dora_state.http.operations import JSON
from dora_state.http.problems import SORTS, RequestError, as_json, sort_document


async def explain_problem(call: Call) -> Response:
    code = call.id("code")
    if code not in SORTS:
        raise RequestError(
            "not_found", "That is no error of the server; docs/rules.md has the reasons of refusals.", code=code
        )
    return Response(as_json(sort_document(code)), 200, None, JSON)
