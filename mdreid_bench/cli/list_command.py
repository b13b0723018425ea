"""``mdreid-bench list``: the names that the other commands accept."""

from collections.abc import Callable, Sequence
from typing import Annotated

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import AsJson, argument
from mdreid_bench.report.table import Column, Table
from protocols.names import UnknownNameError

Value = str | int | bool | list[str]
Entry = dict[str, Value]
MANY = 8
"""Above this length, a list in a table cell shows its beginning and end; JSON has all of it."""
LONG = ("paper", "url")
"""What JSON alone has, because a table would be too wide."""


def list_names(
    kind: Annotated[str, argument("KIND", "methods, datasets, protocols, suites or presets.")],
    as_json: AsJson = False,
) -> None:
    """List the methods, datasets, protocols, suites or presets that can be named.

    Methods and datasets of other installed packages are listed too.

    Examples:

      mdreid-bench list methods

      mdreid-bench list protocols --json
    """
    if kind not in _SOURCES:
        raise UnknownNameError("list", kind, _SOURCES)
    entries = _SOURCES[kind]()
    console = Console()
    if as_json:
        console.json(entries)
    else:
        console.table(_table(kind, entries))


def _table(kind: str, entries: Sequence[Entry]) -> Table:
    keys = [key for key in entries[0] if key not in LONG] if entries else ["name"]
    return Table(
        title=kind,
        columns=tuple(Column(key.replace("_", " "), numeric=_numeric(key, entries)) for key in keys),
        rows=tuple(tuple(_shown(entry[key]) for key in keys) for entry in entries),
    )


def _numeric(key: str, entries: Sequence[Entry]) -> bool:
    return all(isinstance(entry[key], int) and not isinstance(entry[key], bool) for entry in entries)


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, list):
        return str(value)
    if len(value) > MANY:
        return ", ".join([*value[: MANY - 2], "...", value[-1]])
    return ", ".join(value)


def _methods() -> list[Entry]:
    from mdreid_bench.models import registry

    return [
        {
            "name": name,
            "title": card.title,
            "paper": card.paper,
            "venue": card.venue,
            "url": card.url,
            "trains": card.trains,
            "summary": card.summary,
        }
        for name, card in registry.cards().items()
    ]


def _datasets() -> list[Entry]:
    from mdreid_bench.data import registry

    return [
        {
            "name": name,
            "title": card.title,
            "kind": card.kind,
            "paper": card.paper,
            "height": card.image_size[0],
            "width": card.image_size[1],
            "cameras": card.cameras,
            "train_images": card.counts.train_images,
            "query_images": card.counts.query_images,
            "gallery_images": card.counts.gallery_images,
        }
        for name, card in registry.cards().items()
    ]


def _protocols() -> list[Entry]:
    from protocols.protocol import ALL_PROTOCOLS

    return [
        {
            "name": str(protocol),
            "query": str(protocol.query),
            "gallery": str(protocol.gallery),
            "matched": protocol.matched,
        }
        for protocol in ALL_PROTOCOLS
    ]


def _suites() -> list[Entry]:
    from protocols.suites import SUITES, suite

    return [
        {"name": name, "count": len(suite(name)), "protocols": [str(protocol) for protocol in suite(name)]}
        for name in SUITES
    ]


def _presets() -> list[Entry]:
    from mdreid_bench.config import presets

    return [{"name": name, "summary": presets.describe(name)} for name in presets.names()]


_SOURCES: dict[str, Callable[[], list[Entry]]] = {
    "methods": _methods,
    "datasets": _datasets,
    "protocols": _protocols,
    "suites": _suites,
    "presets": _presets,
}
