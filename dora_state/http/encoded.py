"""Documents as they are sent, with their tags; those that readers share are written once."""

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from urllib.parse import quote

from projections.documents.values import Document, encode
from projections.projection import STATES


@dataclass(frozen=True, slots=True)
class Encoded:
    """`etag` changes whenever the body does."""

    body: bytes
    etag: str


class EncodedDocuments:
    """Those that this process keeps for `cached` reads, by identity: a document that changed is another object."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._size = 0
        self._known: OrderedDict[int, tuple[Document, Encoded]] = OrderedDict()

    def of(self, kind: str, id: str, document: Document) -> Encoded:
        """`document` is frozen, and kept by this process."""
        known = self._known.get(id_of := _identity(document))
        if known is not None:
            return known[1]
        made = encoded(kind, id, document)
        if not is_computed(kind, document):
            self._keep(id_of, document, made)
        return made

    def _keep(self, place: int, document: Document, made: Encoded) -> None:
        # The document is kept with its bytes, so that no other can come to have its identity.
        self._known[place] = (document, made)
        self._size += 3 * len(made.body)
        while self._size > self._capacity and self._known:
            _, (_, oldest) = self._known.popitem(last=False)
            self._size -= 3 * len(oldest.body)


_identity = id


def encoded(kind: str, id: str, document: Document, *, past: bool = False) -> Encoded:
    """A document of now, or `past`: as of a cut."""
    body = encode(document)
    return Encoded(body, etag(kind, id, document, body, computed=past or is_computed(kind, document)))


def is_computed(kind: str, document: Document) -> bool:
    """Whether something in it is of the moment of asking: then its version does not say what it is."""
    return kind in ("agent", "system") or (kind == "task" and document["state"] == "running")


def etag(kind: str, id: str, document: Document, body: bytes, *, computed: bool) -> str:
    """Kind, id and version, and a mark of what else decides how it reads: the whole where it is computed, else when
    the version was recorded and by which release's rules it was rendered."""
    decides = body if computed else f"{document['recorded_at']} {STATES.version}".encode()
    return f'"{kind}-{quote(id, safe="")}-v{document["stream_version"]}-{blake2b(decides, digest_size=6).hexdigest()}"'
