"""What the installed distributions say of themselves: their licences, and what they need."""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution

from packaging.markers import Marker
from packaging.requirements import Requirement

from supply.pins import Pin, canonical

OLDEST_PYTHON = {
    "python_version": "3.11",
    "python_full_version": "3.11.0",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
    "sys_platform": "linux",
    "os_name": "posix",
    "platform_system": "Linux",
    "platform_machine": "x86_64",
}
"""What markers are judged by, so that every machine finds the same."""
_SPDX = {
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "PSFL": "PSF-2.0",
    "BSD 2-Clause License": "BSD-2-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "ISC License": "ISC",
    "MIT License": "MIT",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
}
"""What some say instead of an SPDX expression."""


def require_installed(pin: Pin) -> None:
    """Raises ValueError unless it is this version that is installed: what another one says is not of this pin."""
    try:
        version = distribution(pin.name).version
    except PackageNotFoundError:
        version = "not"
    if version != pin.version:
        raise ValueError(f"{pin} is pinned, and {version} installed: let make set up .venv anew, and try again.")


def license_of(name: str) -> str | None:
    """As an SPDX expression where it can be said by one; None where the distribution says nothing."""
    about = distribution(name).metadata
    said = list(about.get_all("License-Expression") or ())
    said += [text.strip().partition("\n")[0] for text in about.get_all("License") or ()]
    said += [one for one in about.get_all("Classifier") or () if one.startswith("License :: OSI Approved ::")]
    return next((_SPDX.get(one, one) for one in said if one), None)


def needs(name: str, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """The distributions that one with these extras needs, and with which extras it needs them."""
    for text in distribution(name).requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or any(_holds(requirement.marker, extra) for extra in ("", *extras)):
            yield canonical(requirement.name), frozenset(requirement.extras)


def _holds(marker: Marker, extra: str) -> bool:
    return marker.evaluate({**OLDEST_PYTHON, "extra": extra})
