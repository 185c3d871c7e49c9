"""What the type of a problem leads to."""

from starlette.responses import Response

from dora_state.http.call import Call
from dora_state.http.operations import JSON
from dora_state.http.problems import SORTS, RequestError, as_json, type_of


async def explain_problem(call: Call) -> Response:
    code = call.id("code")
    sort = SORTS.get(code)
    if sort is None:
        raise RequestError(
            "not_found", "That is no error of the server; docs/rules.md has the reasons of refusals.", code=code
        )
    document = {"type": type_of(code), "code": code, "status": sort.status, "title": sort.title}
    return Response(as_json(document), 200, None, JSON)
