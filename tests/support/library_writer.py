"""A process that appends through the library: `python -m tests.support.library_writer COUNT`."""

import sys
from uuid import UUID, uuid4

from eventsourcing.persistence import IntegrityError

from tests.support.library import construct_factory, stored

SHARED = UUID(int=7)


def main(count: int) -> None:
    """Appends `count` times to a stream of its own together with one that all writers share, until it succeeds."""
    factory = construct_factory()
    recorder = factory.application_recorder()
    own = uuid4()
    for version in range(1, count + 1):
        while True:
            (*_, last) = (stored(SHARED, 0), *recorder.select_events(SHARED, desc=True, limit=1))
            try:
                recorder.insert_events([stored(own, version), stored(SHARED, last.originator_version + 1)])
                break
            except IntegrityError:
                continue
    factory.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
