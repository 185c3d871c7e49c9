"""What a program can call, as its types say: the public methods of a class, and where text goes into them."""

import dataclasses
import inspect
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Union, Unpack, get_args, get_origin, get_type_hints, is_typeddict

from dora_state.states import EditableState

OURS = ("dora_state", "projections", "commands", "infrastructure", "domain")
EITHER = (Union, types.UnionType)


@dataclass(frozen=True)
class Place:
    """Where a method takes text. `shape` is the type that is written there; `is_keywords`: any keyword is taken."""

    face: type
    method: str
    parameter: str
    shape: Any
    is_keywords: bool = False

    @property
    def name(self) -> str:
        return f"{self.face.__name__}.{self.method}"


def faces(first: type) -> list[type]:
    """A class, and those that its methods and properties give, if there is something to wait for in them."""
    found = [first]
    for face in found:
        given = [_hints(one).get("return") for one in [*methods(face).values(), *_properties(face)]]
        found += [one for one in dict.fromkeys(_classes(given)) if one not in found and _waits(one)]
    return found


def methods(face: type) -> dict[str, Callable[..., Any]]:
    """The public ones; what has a second name stands under its own."""
    found = [one for name, one in inspect.getmembers(face, inspect.isfunction) if not name.startswith("_")]
    return {one.__name__: one for one in found}


def places(face: type) -> Iterator[Place]:
    for name, method in methods(face).items():
        hints = _hints(method)
        for parameter in list(inspect.signature(method).parameters.values())[1:]:
            shape = hints[parameter.name]
            if get_origin(shape) is Unpack:
                (named,) = get_args(shape)
                inner = [Place(face, name, key, one) for key, one in get_type_hints(named).items()]
            else:
                is_keywords = parameter.kind is parameter.VAR_KEYWORD
                inner = [Place(face, name, parameter.name, shape, is_keywords)]
            yield from (place for place in inner if holds_text(place.shape))


def holds_text(shape: Any) -> bool:
    return shape is EditableState or any(True for _ in with_text(shape, ""))


def with_text(shape: Any, text: str) -> Iterator[Any]:
    """Values of a type with the text in each place that it has for one."""
    origin, inner = get_origin(shape), get_args(shape)
    if shape in (str, object, Any) or (origin is Literal and any(isinstance(one, str) for one in inner)):
        yield text
    elif origin in EITHER:
        for one in inner:
            yield from with_text(one, text)
    elif origin is not None and inspect.isclass(origin) and issubclass(origin, Mapping):
        yield from ({key: 1} for key in with_text(inner[0], text))
        yield from ({"a": value} for value in with_text(inner[1], text))
    elif origin is not None and inspect.isclass(origin) and issubclass(origin, Iterable):
        yield from ([one] if origin is not frozenset else frozenset({one}) for one in with_text(inner[0], text))
    elif is_typeddict(shape):
        yield from ({key: one} for key, hint in get_type_hints(shape).items() for one in with_text(hint, text))
    elif dataclasses.is_dataclass(shape) and _can_be_empty(shape):
        for key, hint in get_type_hints(shape).items():
            yield from (shape(**{key: one}) for one in with_text(hint, text))  # type: ignore[operator]


def _can_be_empty(shape: Any) -> bool:
    """What can't was made by us."""
    missing = dataclasses.MISSING
    return all(one.default is not missing or one.default_factory is not missing for one in dataclasses.fields(shape))


def _properties(face: type) -> list[Callable[..., Any]]:
    found = [one.fget for name, one in inspect.getmembers(face) if isinstance(one, property) and name[0] != "_"]
    return [getter for getter in found if getter is not None]


def _hints(method: Callable[..., Any]) -> dict[str, Any]:
    return get_type_hints(inspect.unwrap(method))


def _classes(hints: Iterable[Any]) -> Iterator[type]:
    for hint in hints:
        yield from _classes(get_args(hint))
        if inspect.isclass(hint) and hint.__module__.partition(".")[0] in OURS:
            yield hint


def _waits(face: type) -> bool:
    inner = [inspect.unwrap(method) for method in methods(face).values()]
    return any(inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one) for one in inner)
