"""`make sbom`: the bill of materials as CycloneDX JSON, from the locks; the same at any time and on any machine.

What runs is `required`, the embedded servers are `optional`, and what only builds and tests is `excluded`.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

import orjson
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.dependency import Dependency
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from supply.installed import license_of, needs, require_installed
from supply.pins import REQUIREMENTS, Pin, read_lock

OURS = "dora-state"
RUNS = frozenset({"telemetry"})
"""The extra that the image has, as the lock for running."""
Graph = Mapping[str, frozenset[str]]


def bill() -> bytes:
    """Of everything that the lock for development pins, which has all that runs as well. Raises ValueError."""
    pins = {pin.name: pin for pin in read_lock(REQUIREMENTS / "dev.txt")}
    for pin in pins.values():
        require_installed(pin)
    running = {pin.name for pin in read_lock(REQUIREMENTS / "runtime.txt")}
    embedded = graph(OURS, RUNS | {"embedded"}).keys() & pins.keys()
    scopes = dict.fromkeys(pins, ComponentScope.EXCLUDED)
    scopes |= dict.fromkeys(embedded, ComponentScope.OPTIONAL) | dict.fromkeys(running, ComponentScope.REQUIRED)
    return _written(pins, scopes, graph(OURS, RUNS | {"embedded", "client", "testing", "dev"}))


def graph(root: str, extras: frozenset[str]) -> Graph:
    """What needs what, from a distribution with extras on."""
    seen: dict[str, set[str]] = {}
    found: dict[str, set[str]] = {}
    ahead = [(root, extras)]
    while ahead:
        name, wanted = ahead.pop()
        had = seen.setdefault(name, set())
        if name in found and wanted <= had:
            continue
        had |= wanted
        for needed, with_extras in needs(name, frozenset(had)):
            found.setdefault(name, set()).add(needed)
            ahead.append((needed, with_extras))
        found.setdefault(name, set())
    return {name: frozenset(needed) for name, needed in found.items()}


def _written(pins: Mapping[str, Pin], scopes: Mapping[str, ComponentScope], needed: Graph) -> bytes:
    bom = Bom()
    bom.metadata.component = ours = _ours()
    bom.components.update(_component(pin, scopes[name]) for name, pin in pins.items())
    refs = {component.name: component.bom_ref for component in [ours, *bom.components]}
    for name in refs:
        below = [Dependency(refs[one]) for one in needed.get(name, ()) if one in refs]
        bom.dependencies.add(Dependency(refs[name], below))
    told = orjson.loads(JsonV1Dot6(bom).output_as_string())
    # The library says when and in which run it was written; the same materials make the same bill.
    del told["serialNumber"], told["metadata"]["timestamp"]
    told["serialNumber"] = _serial_number(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).urn
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _ours() -> Component:
    release = version(OURS)
    return Component(
        name=OURS,
        version=release,
        type=ComponentType.APPLICATION,
        licenses=[LicenseFactory().make_from_string("MIT")],
        bom_ref=f"{OURS}@{release}",
    )


def _component(pin: Pin, scope: ComponentScope) -> Component:
    purl = PackageURL("pypi", name=pin.name, version=pin.version)
    license = license_of(pin.name)
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=content) for content in pin.hashes]
    return Component(
        name=pin.name,
        version=pin.version,
        type=ComponentType.LIBRARY,
        scope=scope,
        licenses=[LicenseFactory().make_from_string(license)] if license else [],
        purl=purl,
        bom_ref=str(purl),
        # Of each file, of which the one that fits a machine is installed: not hashes of one thing.
        external_references=[
            ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(str(purl)), hashes=hashes)
        ],
    )


def _serial_number(text: bytes) -> UUID:
    return uuid5(NAMESPACE_URL, text.decode())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make sbom", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("build") / "dora-state.cdx.json")
    given = parser.parse_args(arguments)
    try:
        text = bill()
        given.output.parent.mkdir(parents=True, exist_ok=True)
        given.output.write_bytes(text)
    except (OSError, ValueError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    print(f"The bill of materials is {given.output}: {len(orjson.loads(text)['components'])} packages.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
