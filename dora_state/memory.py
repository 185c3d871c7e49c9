"""What a process of ours asks of Python's memory management."""

import gc

YOUNG, MIDDLE, OLD = 50_000, 20, 100


def spare_the_collector() -> None:
    """For processes that serve commands or fold events for long: look for cycles of garbage seldom.

    What a command makes is freed by its reference counts; looking for cycles among the aggregates in memory found
    nothing and took a third of the time of a command (docs/log.md). What is there now is never looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
