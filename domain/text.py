"""What anything can be called, and how a name from outside is told."""

from domain.errors import InvalidInput
from domain.values import MAX_ID_LENGTH


def is_text(value: str) -> bool:
    """A database holds no NUL, and half a character is none."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def require_text(name: str, value: str) -> None:
    """Of a filter. `name` is that of the question's field. Raises InvalidInput."""
    if not is_text(value):
        raise InvalidInput(f"{name}: a text that is no Unicode or has a NUL in it names nothing; leave it out.")
    if len(value) > MAX_ID_LENGTH:
        raise InvalidInput(f"{name}: nothing has a name of more than {MAX_ID_LENGTH} characters; give a shorter one.")


def require_id(name: str, value: object) -> None:
    """Of an id that is looked for. Raises InvalidInput."""
    if not isinstance(value, str):
        raise InvalidInput(f"{name}: an id is text; give it as such.", field=name)
    if len(value) > MAX_ID_LENGTH:
        raise InvalidInput(f"{name}: an id has at most {MAX_ID_LENGTH} characters; give a shorter one.", field=name)
    require_visible(name, value)


def require_visible(name: str, value: str) -> None:
    """Nothing that is looked for has control characters, and no half ones. Raises InvalidInput."""
    if not value.isprintable():
        raise InvalidInput(
            f"{name}: must not contain control characters or others that can't be seen; leave them out.", field=name
        )


def visible(text: str) -> str:
    """A name from outside as a message may show it: what a terminal would obey is written out."""
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)


def shown(text: object) -> str:
    """The same of what may be of any length, and of any type."""
    return visible(str(text)[:MAX_ID_LENGTH])
