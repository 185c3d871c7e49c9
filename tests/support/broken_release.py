"""A release that can't render what another one can, as who parks events meets it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from domain.task import Task
from projections.documents import RENDERINGS
from projections.documents.values import Document

RENDERING = RENDERINGS["task"]


@contextmanager
def broken(*states: str) -> Iterator[None]:
    """A release whose documents of tasks can't tell of these states."""

    def stored(task: Task) -> Document:
        if task.state in states:
            raise ValueError(f"no word for {task.state}")
        return RENDERING.stored(task)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RENDERINGS, "task", replace(RENDERING, stored=stored))
        yield
