"""The short form of `make torture`: everything is broken for some seconds, and nothing is lost."""

import pytest

from tests.torture.rig import torture

SECONDS = 12.0


@pytest.mark.timeout(400)
async def test_whatever_breaks_nothing_is_lost_doubled_or_out_of_order() -> None:
    report = await torture(SECONDS, seed=8)
    told = "\n".join(report.lines())
    assert report.is_good, told
    # Not `report.late`: beside other tests, on a busy machine, seconds say nothing. What never came back is stuck.
    assert report.happened, told
    assert report.counts.events > 200, told
    assert report.counts.followed >= 2 * 200, told
