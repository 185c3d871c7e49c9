"""Documents that many readers share: as plain to read as any, equal to the plain ones, and not to be changed.

They are dictionaries and lists by type, so that orjson writes them and type checks take them for documents.
"""

from sys import getsizeof
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")


def _refuse(self: object, *_: object, **__: object) -> NoReturn:
    raise TypeError("This document is shared by its readers and can't be changed; change a copy: thawed(document).")


class FrozenDict(dict[str, Any]):
    """A JSON object. `copy.copy` and `copy.deepcopy`, `dict()` and `|` give plain ones."""

    __slots__ = ()
    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def copy(self) -> dict[str, Any]:
        return dict(self)

    __copy__ = copy

    def __deepcopy__(self, _: object) -> dict[str, Any]:
        return thawed(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class FrozenList(list[Any]):
    """A JSON array. `copy.copy` and `copy.deepcopy`, `list()`, slices and `+` give plain ones."""

    __slots__ = ()
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def copy(self) -> list[Any]:
        return list(self)

    __copy__ = copy

    def __deepcopy__(self, _: object) -> list[Any]:
        return thawed(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)


def frozen(value: T) -> T:
    """The same, to its last leaf not to be changed. What is frozen already is taken as it is."""
    kind = type(value)
    if kind is dict:
        return FrozenDict({key: frozen(item) for key, item in value.items()})  # type: ignore[attr-defined,return-value]
    if kind is list or kind is tuple:
        return FrozenList([frozen(item) for item in value])  # type: ignore[attr-defined,return-value]
    return value


def thawed(value: T) -> T:
    """A plain copy, to be changed at will."""
    if isinstance(value, dict):
        return {key: thawed(item) for key, item in value.items()}  # type: ignore[return-value]
    if isinstance(value, list):
        return [thawed(item) for item in value]  # type: ignore[return-value]
    return value


def size_of(value: Any) -> int:
    """About how many bytes it takes in memory. Keys are not counted: all documents share them."""
    size = getsizeof(value)
    if isinstance(value, dict):
        return size + sum(map(size_of, value.values()))
    if isinstance(value, list):
        return size + sum(map(size_of, value))
    return size
