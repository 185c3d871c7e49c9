"""Takes secrets out of what is logged: by how they look, and those of this process by themselves as well."""

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from urllib.parse import unquote, unquote_plus, urlsplit

HIDDEN = "***"
SHORTEST = 6
"""A secret of fewer characters is not looked for by itself: it may be a part of any word."""

# Repetitions have bounds, so that no text, whoever wrote it, takes long. Of a URL all up to the last @ is hidden:
# passwords may hold one.
_QUOTED = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
_ESCAPED = r"\\{1,3}[\"'][^\"'\\]*"  # JSON within JSON
_NAMES = (
    r"pass(?:word|wd|phrase)|pwd|secret(?:[_-][\w-]{0,30})?|(?:api|private)[_-]?key"
    r"|(?:access|refresh|session|auth|id)[_-]?token"
)
"""Of settings, parameters and keys of JSON, with anything before them: PGPASSWORD, client_secret."""
_LOOKS = tuple(
    (re.compile(pattern, re.IGNORECASE), f"\\g<1>{HIDDEN}\\g<2>")
    for pattern in (
        r"(-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)(?s:.*?)(-----END|\Z)",
        r"(\b[a-z][a-z0-9+.-]{0,20}://[^\s:/@\"']{0,100}:)[^\s\"']{0,500}(@)",
        r"(\b(?:bearer|basic)\s{1,9})[a-z0-9._~+/=-]{4,}()",
        r"(\bauthorization\b\W{1,6})(?!\W{0,6}(?:bearer|basic)\b)[^\s\"',)]+()",
        rf"((?:{_NAMES})(?:\\{{0,3}}[\"'])?\s{{0,9}}[:=]\s{{0,9}})(?:{_QUOTED}|{_ESCAPED}|[^\s,;&\"'}})]+)()",
        rf"(\b(?:set-)?cookies?\b(?:[\"']?\s{{0,9}}[:=]|[\"'],)\s{{0,9}}b?)(?:{_QUOTED}|[^\r\n]+)()",
        r"(\bds_)[a-z0-9_-]{6,}()",  # API keys
        r"(\bey)J[a-z0-9_-]{6,500}\.[a-z0-9_-]+(?:\.[a-z0-9_-]*)?()",  # tokens of OIDC
    )
)

_PASSWORDS = re.compile(r"\b(?:ssl_?)?password\s{0,9}=\s{0,9}('(?:[^'\\]|\\.)*'|[^\s&']+)")
"""Those that are said by name, as libpq and redis-py take them."""


def redactor(secrets: Iterable[str] = ()) -> Callable[[str], str]:
    """A function that hides what looks like a secret, and these: of URLs the password, of others all."""
    known = {part for secret in secrets for part in _parts(secret) if len(part) >= SHORTEST}
    longest_first = sorted(known, key=len, reverse=True)
    exactly = re.compile("|".join(map(re.escape, longest_first))) if known else None

    def redact(text: str) -> str:
        if exactly is not None:
            text = exactly.sub(HIDDEN, text)
        for look, replacement in _LOOKS:
            text = look.sub(replacement, text)
        return text

    return redact


def _parts(secret: str) -> Iterable[str]:
    """Of an address its passwords, as they stand there and as they are: the rest of it is what errors are about."""
    passwords = [found[1].strip("'") for found in _PASSWORDS.finditer(secret)]
    if "://" not in secret:
        return passwords or (secret,)
    with suppress(ValueError):
        passwords.append(urlsplit(secret).password or "")
    return [form for password in passwords for form in (password, unquote(password), unquote_plus(password))]
