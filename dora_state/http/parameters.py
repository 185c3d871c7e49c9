"""What stands in paths, queries and headers, checked strictly: each finding names the parameter."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Annotated, Any, TypeVar, get_origin
from urllib.parse import parse_qsl
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from commands.wording import invalid
from domain.errors import InvalidInput
from domain.log import Cut
from domain.text import require_id, require_visible, visible
from domain.values import MAX_ID_LENGTH, Time

M = TypeVar("M", bound=BaseModel)
MOST_PARAMETERS = 64
SLASH = "\ud800"
"""Stands for a slash within an id while the path is matched: half a character, which nothing that is sent becomes."""
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
Headers = Sequence[tuple[bytes, bytes]]


def _whole(value: object) -> object:
    if isinstance(value, str):
        if not _WHOLE.fullmatch(value):
            raise ValueError("must be a whole number")
        return int(value)
    return value


def _number(value: object) -> object:
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            raise ValueError("must be a number, for example 2.5")
        return float(value)
    return value


def _flag(value: object) -> object:
    if value in ("true", "false"):
        return value == "true"
    if isinstance(value, bool):
        return value
    raise ValueError("must be true or false")


Whole = Annotated[int, Field(ge=0, le=2**62), BeforeValidator(_whole)]
From1 = Annotated[int, Field(ge=1, le=2**62), BeforeValidator(_whole)]
Seconds = Annotated[float, Field(ge=0, le=1e9), BeforeValidator(_number)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Word = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH)]
Limit = Annotated[int, Field(ge=1, le=1000), BeforeValidator(_whole)]
Mark = Annotated[str, Field(min_length=1, max_length=2000)]


class Query(BaseModel):
    """The parameters of a query. Lists are given by repeating the parameter."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CutQuery(Query):
    """At most one of the three."""

    version: Whole | None = Field(None, description="The state at this version of the stream.")
    at: Time | None = Field(None, description="The state at this time, as it was recorded.")
    position: Whole | None = Field(None, description="The state at this position of the log.")

    @property
    def cut(self) -> Cut:
        """Raises InvalidInput where more than one is given."""
        given = [name for name in ("version", "at", "position") if getattr(self, name) is not None]
        if len(given) > 1:
            raise InvalidInput(f"{' and '.join(given)} can't be asked for at once: give one of them.", field=given[1])
        return Cut(version=self.version, at=self.at, position=self.position)


def cut_facts(cut: Cut) -> dict[str, object]:
    """What a cut says, for the record of who read what."""
    return {name: value for name, value in asdict(cut).items() if value is not None}


def parse_query(raw: bytes, model: type[M]) -> M:
    """Raises InvalidInput that names the parameter. What is asked often is looked up."""
    return _known(raw, model) if len(raw) <= 256 else _parse(raw, model)


def _parse(raw: bytes, model: type[M]) -> M:
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(raw),
            errors="strict",
            max_num_fields=MOST_PARAMETERS,
        )
    except ValueError:
        raise InvalidInput(
            f"The query is not well-formed: write it as name=value&name=value in percent-encoded UTF-8, with"
            f" {MOST_PARAMETERS} parameters at most.",
            field="query",
        ) from None
    given: dict[str, Any] = {}
    for name, value in pairs:
        require_visible(visible(name[:60]), value)
        if _is_list(model, name):
            given.setdefault(name, []).append(value)
        elif name in given:
            raise InvalidInput(f"{visible(name[:60])}: is given twice; give it once.", field=visible(name[:60]))
        else:
            given[name] = value
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise invalid(error, model, None, "the query") from None


_known: Any = lru_cache(maxsize=1024)(_parse)


def _is_list(model: type[BaseModel], name: str) -> bool:
    field = model.model_fields.get(name)
    return field is not None and get_origin(field.annotation) is tuple


class GivenHeaders:
    """The headers of a request. Looking one up raises InvalidInput where it is given twice or is no text."""

    __slots__ = ("_all", "_found")

    def __init__(self, headers: Headers) -> None:
        self._all = headers
        self._found = dict(headers)

    def get(self, name: bytes) -> str | None:
        value = self._found.get(name)
        if value is None:
            return None
        if len(self._found) < len(self._all) and sum(key == name for key, _ in self._all) > 1:
            shown = name.decode().title()
            raise InvalidInput(f"{shown}: is given twice; give it once.", field=shown)
        try:
            return value.decode("ascii").strip()
        except UnicodeDecodeError:
            shown = name.decode().title()
            raise InvalidInput(f"{shown}: must be plain ASCII.", field=shown) from None


def parse_id(text: str, name: str) -> str:
    """An id in a path. Raises InvalidInput."""
    id = text.replace(SLASH, "/")
    require_id(name, id)
    return id


def parse_uuid(text: str, name: str) -> UUID:
    """Raises InvalidInput."""
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput(
            f"{name}: must be a UUID, for example 0190d8a4-7c3e-7b1f-9a52-3f1de6a1c001.", field=name
        ) from None
