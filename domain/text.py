"""What anything can be called: a database holds no NUL, and half a character is none."""

from domain.errors import InvalidInput


def is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def require_text(name: str, value: str) -> None:
    """`name` is that of the question's field. Raises InvalidInput."""
    if not is_text(value):
        raise InvalidInput(f"{name}: a text that is no Unicode or has a NUL in it names nothing; leave it out.")
