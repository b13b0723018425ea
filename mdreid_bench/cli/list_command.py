"""``mdreid-bench list``: the names that the other commands accept."""

from collections.abc import Callable, Sequence
from typing import Annotated

from mdreid_bench.cli.command import DATA, argument, option
from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import DATASETS, AsJson
from mdreid_bench.cli.values import chosen_one
from mdreid_bench.data.card import DatasetCard
from mdreid_bench.errors import UsageError, expected
from mdreid_bench.report.table import Column, Table
from protocols.modality import RNT
from protocols.names import UnknownNameError
from protocols.protocol import Protocol, protocols_of
from protocols.suites import usable_suites

Value = str | int | bool | list[str] | None
Entry = dict[str, Value]
MANY = 8
"""Above this length, a list in a table cell shows its beginning and end; JSON has all of it."""
LONG = ("paper", "url", "licence", "bibtex")
"""What JSON alone has, because a table would be too wide."""


def list_(
    kind: Annotated[str, argument("KIND", "methods, datasets, protocols, suites or presets.")],
    dataset: Annotated[
        str | None,
        option(DATA, "--dataset", f"Whose protocols or suites: {DATASETS}. Default: those of RGB, NIR and TIR."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the methods, datasets, protocols, suites or presets that can be named.

    Methods and datasets of other installed packages are listed too. Protocols
    and suites are made of the sensors that a dataset has.

    Examples:

      mdreid-bench list methods

      mdreid-bench list protocols --json

      mdreid-bench list suites --dataset msvr310
    """
    if kind not in _SOURCES:
        raise UnknownNameError("list", kind, _SOURCES)
    if dataset is not None and kind not in _OF_SENSORS:
        raise UsageError(f"--dataset goes with {' and '.join(f'list {each}' for each in _OF_SENSORS)} alone.")
    entries = _SOURCES[kind](None if dataset is None else _card(dataset))
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
    return all(isinstance(entry[key], int | None) and not isinstance(entry[key], bool) for entry in entries)


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "—"
    if not isinstance(value, list):
        return str(value)
    if len(value) > MANY:
        return ", ".join([*value[: MANY - 2], "...", value[-1]])
    return ", ".join(value)


def _card(dataset: str) -> DatasetCard:
    from mdreid_bench.data import registry

    return registry.get(chosen_one(dataset, registry.names(), "dataset")).card


def _methods(_: DatasetCard | None) -> list[Entry]:
    from mdreid_bench.models import registry

    shown = ("title", "paper", "venue", "url", "trains", "summary")
    cards = registry.cards(Console().warn)
    return [
        _entry(name, card, shown) | {"with_lost_sensors": card.with_lost_sensors or None}
        for name, card in cards.items()
    ]


def _datasets(_: DatasetCard | None) -> list[Entry]:
    from mdreid_bench.data import registry

    shown = ("title", "kind", "sensors", "paper", "licence", "bibtex")
    return [
        _entry(name, card, shown)
        | {"height": card.image_size[0], "width": card.image_size[1], "cameras": card.cameras}
        | {part: getattr(card.counts, part) for part in ("train_images", "query_images", "gallery_images")}
        for name, card in registry.cards(Console().warn).items()
    ]


def _entry(name: str, card: object, shown: Sequence[str]) -> Entry:
    entry: Entry = {"name": name}
    for field in shown:
        value = getattr(card, field)
        entry[field] = value if isinstance(value, bool) else str(value)
    return entry


def _protocols(card: DatasetCard | None) -> list[Entry]:
    """Return the pairs of subsets and, where a dataset has several ways to draw, its protocols in each of them."""
    found = list(protocols_of(RNT if card is None else card.sensors))
    modes = card.modes if card else {}
    own = {one.partition("@")[0]: None for one in card.default_protocols} if card else {}
    found += [Protocol.parse(f"{name}@{mode}") for name in own for mode in modes if mode]
    entries: list[Entry] = [
        {
            "name": str(protocol),
            "query": str(protocol.query),
            "gallery": str(protocol.gallery),
            "matched": protocol.matched,
        }
        for protocol in found
    ]
    if modes:
        for protocol, entry in zip(found, entries, strict=True):
            entry["compared"] = modes[protocol.mode]
    return entries


def _suites(card: DatasetCard | None) -> list[Entry]:
    sensors = RNT if card is None else card.sensors
    console = Console()
    suites = usable_suites(
        sensors, lambda error: console.warn(f"{str(expected(error)).rstrip('.')}; it is left out.")
    )
    served = {name: [str(p) for p in protocols if p.needs in sensors] for name, protocols in suites.items()}
    return [
        {"name": name, "count": len(protocols), "protocols": protocols}
        for name, protocols in served.items()
        if protocols
    ]


def _presets(_: DatasetCard | None) -> list[Entry]:
    from mdreid_bench.config import presets

    return [{"name": name, "summary": presets.describe(name)} for name in presets.names()]


_OF_SENSORS = ("protocols", "suites")
_SOURCES: dict[str, Callable[[DatasetCard | None], list[Entry]]] = {
    "methods": _methods,
    "datasets": _datasets,
    "protocols": _protocols,
    "suites": _suites,
    "presets": _presets,
}
