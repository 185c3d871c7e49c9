"""Frozen documents read like plain ones, and nothing about them can be changed."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from projections.documents.frozen import frozen, size_of, thawed

PLAIN: dict[str, Any] = {"a": [1, {"b": None}], "c": {"d": "text", "e": [[2.5]]}, "f": True}


def test_a_frozen_document_equals_the_plain_one_and_is_written_the_same() -> None:
    assert frozen(PLAIN) == PLAIN
    assert orjson.dumps(frozen(PLAIN)) == orjson.dumps(PLAIN)
    assert frozen(PLAIN)["c"]["e"][0] == [2.5]
    assert isinstance(frozen(PLAIN), dict)


CHANGES: list[Callable[[Any], object]] = [
    lambda one: one.__setitem__("a", 1),
    lambda one: one.__delitem__("a"),
    lambda one: one.update(x=1),
    lambda one: one.setdefault("x", 1),
    lambda one: one.pop("a"),
    lambda one: one.popitem(),
    lambda one: one.clear(),
    lambda one: one.__ior__({"x": 1}),
    lambda one: one["c"].update(d=1),
    lambda one: one["a"].append(1),
    lambda one: one["a"].__setitem__(0, 2),
    lambda one: one["a"].__iadd__([1]),
    lambda one: one["a"].__imul__(2),
    lambda one: one["a"][1].__setitem__("b", 1),
    lambda one: one["c"]["e"][0].sort(),
    lambda one: one["c"]["e"].insert(0, 1),
    lambda one: one["c"]["e"].extend([1]),
    lambda one: one["c"]["e"].pop(),
    lambda one: one["c"]["e"].remove([2.5]),
    lambda one: one["c"]["e"].reverse(),
    lambda one: one["c"]["e"].__delitem__(0),
    lambda one: one["c"]["e"].clear(),
]


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_of_it_can_be_changed(change: Callable[[Any], object]) -> None:
    document = frozen(PLAIN)
    with pytest.raises(TypeError, match="can't be changed; change a copy"):
        change(document)
    assert document == PLAIN


@pytest.mark.parametrize("copied", [thawed, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_are_plain(copied: Callable[[Any], Any]) -> None:
    plain = copied(frozen(PLAIN))
    plain["c"]["e"][0].append(3)
    plain["a"][1]["b"] = 1
    assert type(plain) is dict
    assert frozen(PLAIN) == PLAIN


def test_shallow_copies_are_plain_at_the_top() -> None:
    for one in (copy.copy(frozen(PLAIN)), frozen(PLAIN).copy(), dict(frozen(PLAIN)), frozen(PLAIN) | {}):
        one["a"] = 1
        assert type(one) is dict


def test_its_size_grows_with_what_is_in_it() -> None:
    assert size_of(frozen({"a": "x" * 1_000})) - size_of(frozen({"a": ""})) == 1_000
