"""A projection's version rises when the same events come to give other rows: else nobody would build them anew."""

from hashlib import sha256

from projections.cache_ports import NoHotCopies
from projections.documents import RENDERINGS
from projections.projection import STATES
from projections.projector import Projector
from tests.support.memory_read_models import MemoryReadModels
from tests.support.stories import finished_task, full_stories
from tests.support.told_log import ToldLog

WRITTEN = {
    ("states", 1): "4bfdbd1b9dc9ac7e6f229d06d98c51f89078f5d8187a691e33b92b29a971e0df",
}
"""What each version writes of the same stories. A new version gets a new line; a line never changes once released."""


async def test_what_is_written_changes_with_the_version_only() -> None:
    log, store = ToldLog(), MemoryReadModels()
    log.tell_all(*full_stories())
    log.tell_all(*finished_task("t9"))
    projector = Projector(log, store, NoHotCopies())  # type: ignore[arg-type]  # writes only
    await projector.catch_up(len(log.events))
    written = sha256()
    for key in sorted(store.documents):
        document = store.documents[key]
        written.update(repr((key, document.position, document.state, document.columns, document.body)).encode())
    for position in sorted(store.attempts):
        written.update(repr(store.attempts[position]).encode())
    written.update(repr((sorted(store.counted.items()), sorted(RENDERINGS))).encode())
    assert WRITTEN[STATES.name, STATES.version] == written.hexdigest()
