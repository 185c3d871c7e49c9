"""A log of five years."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from infrastructure.event_store import PostgresEventLog
from tests.support.log import appended, command

BEGIN = datetime(2010, 1, 15, 12, tzinfo=UTC)
MONTHS = 60
EACH = 20  # commands a month, one event each


def month_of(number: int) -> datetime:
    """The middle of the nth month of the log, from 0."""
    return BEGIN.replace(year=BEGIN.year + number // 12, month=1 + number % 12)


async def fill(log: PostgresEventLog) -> PostgresEventLog:
    """Five years: in each month 20 events, of a stream of that month's and of one that goes on for ever."""
    import_id = uuid4()
    importing = await log.begin_import(import_id)
    await log.ensure_months(month_of(0), month_of(MONTHS - 1))
    for month in range(MONTHS):
        group = [
            command({f"agent-{month}": n}, at=month_of(month) + timedelta(hours=n))
            if n < EACH - 1
            else command({"pool-all": month}, at=month_of(month) + timedelta(hours=n))
            for n in range(EACH)
        ]
        for outcome in await importing.append(group):
            appended(outcome)
    await log.end_import(import_id)
    return log
