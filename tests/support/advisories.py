"""A source of vulnerabilities on loopback, which says what a test wants: OSV's questions and an index's pages."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from supply.known import KNOWN_TO_ALL

OLD = {
    "id": "PYSEC-OLD",
    "modified": "2026-11-20T00:00:00Z",
    "affected": [
        {"package": {"name": KNOWN_TO_ALL.name, "ecosystem": "PyPI"}, "versions": [KNOWN_TO_ALL.version]},
    ],
}
"""What everybody knows."""


def advisory(id: str, package: str, *, introduced: str = "0", fixed: str | None = None, **more: Any) -> dict[str, Any]:
    events = [{"introduced": introduced}, *([{"fixed": fixed}] if fixed else [])]
    affected = {
        "package": {"name": package, "ecosystem": "PyPI"},
        "ranges": [{"type": "ECOSYSTEM", "events": events}],
    }
    return {"id": id, "modified": "2026-11-20T00:00:00Z", "summary": f"about {package}", "affected": [affected]} | more


@dataclass
class Told:
    """What is answered: advisories by package to OSV's questions, pages by path, or to everything the same text."""

    advisories: list[dict[str, Any]] = field(default_factory=list)
    pages: dict[str, Any] = field(default_factory=dict)
    always: bytes | None = None
    page_size: int = 1_000
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, path: str, body: Any) -> Any:
        self.asked.append(path)
        if path in self.pages:
            return self.pages[path]
        if path == "/v1/querybatch":
            return {"results": [self._result(query) for query in body["queries"]]}
        if path.startswith("/v1/vulns/"):
            return next((one for one in self.advisories if one["id"] == path.removeprefix("/v1/vulns/")), None)
        return None

    def _result(self, query: dict[str, Any]) -> dict[str, Any]:
        """As OSV does: a page of what it has about a package (which here has all versions), and a mark."""
        name = query["package"]["name"]
        ids = [one["id"] for one in self.advisories if one["affected"][0]["package"]["name"] == name]
        begin = int(query.get("page_token", "0"))
        page, rest = ids[begin : begin + self.page_size], ids[begin + self.page_size :]
        if not page:
            return {}
        return {"vulns": [{"id": id} for id in page]} | (
            {"next_page_token": str(begin + self.page_size)} if rest else {}
        )


@contextmanager
def telling(**what: Any) -> Iterator[Told]:
    told = Told(**what)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: Any) -> None:
            found = told.answer(self.path, body)
            text = told.always if told.always is not None else json.dumps(found).encode()
            self.send_response(404 if found is None and told.always is None else 200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()
