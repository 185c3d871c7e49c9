"""Workers, PostgreSQL and Redis killed, stopped and emptied, with more seeds than `make test` has time for."""

from pathlib import Path

import pytest

from tests.integration.test_embedded_homes import home
from tests.integration.test_read_side_killed import go_wrong

__all__ = ["home"]

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("seed", range(2, 8))
async def test_whatever_goes_wrong_every_document_is_the_fold_in_the_end(home: Path, seed: int) -> None:
    await go_wrong(home, seed)
