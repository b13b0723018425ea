"""Opens a dataset: reads all file names and images, and refuses it when a rule forbids to train on it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from mdreid_bench.data.check import Reading, kinds, read_dataset
from mdreid_bench.data.check_rules import Finding, Kind
from mdreid_bench.data.fingerprint import fingerprint
from mdreid_bench.data.images import InspectedImage
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.items import Item, Items, Role
from mdreid_bench.errors import DataError
from mdreid_bench.progress import Reporter
from mdreid_bench.wording import by_kind, counted, listed, printable


def open_dataset(
    name: str, root: Path, reporter: Reporter, split: str | None = None, *, incomplete: bool = False
) -> DatasetIndex:
    """Find, read and check a dataset.

    Args:
        name: a registered name.
        root: the data root, or the folder of the dataset itself.
        reporter: shows the progress, and what is wrong but forbids nothing.
        split: how it is divided, where it can be divided in several ways; by default the first.
        incomplete: take items as they are that lack images which the dataset says they have.

    Raises:
        UnknownNameError: when no dataset has this name, or the dataset no such split.
        DataError: when the layout is not there, or for findings that forbid to train or evaluate; all are counted and
            the first ten named.
    """
    reading = read_dataset(name, root, reporter, split, incomplete=incomplete)
    dataset, folder, facts, items = reading.dataset, reading.folder, reading.facts, reading.scan.items
    stopping = [finding for finding in reading.findings if finding.stops]
    if damage := reading.damage if {finding.kind for finding in stopping} <= {Kind.COUNT} else None:
        raise DataError(
            f"The synthetic {dataset.card.title} in {folder} is not as it was drawn ({damage}); move it away, and "
            "draw it again with 'mdreid-bench synth'."
        )
    if stopping:
        raise DataError(_complaint(reading, stopping))
    if reading.findings:
        reporter.message(_remark(reading))
    train = [item for item in items if Role.TRAIN in item.roles]
    test = merge_copies((item for item in items if Role.TRAIN not in item.roles), facts)
    sensors = dataset.card.sensors
    return DatasetIndex(
        card=replace(dataset.card, complete=False) if reading.scan.missing else dataset.card,
        root=folder,
        synthetic=reading.marker is not None,
        train=Items.of(train),
        test=Items.of(test),
        train_fingerprint=fingerprint(train, facts, sensors),
        test_fingerprint=fingerprint(test, facts, sensors),
        facts=facts,
        split=reading.split,
        findings=kinds(reading.findings),
    )


def merge_copies(items: Iterable[Item], facts: Mapping[str, InspectedImage]) -> list[Item]:
    """Make one item of a query and a gallery item with the same name, labels and content.

    Items with the same name that differ stay apart: the query's name gets the prefix ``query/``.
    """
    gallery: dict[str, Item] = {}
    queries: list[Item] = []
    for item in items:
        if Role.GALLERY in item.roles:
            gallery[item.name] = item
        else:
            queries.append(item)
    for query in queries:
        twin = gallery.get(query.name)
        if twin is not None and _looks(query, facts) == _looks(twin, facts):
            gallery[query.name] = replace(twin, roles=twin.roles | query.roles)
        else:
            name = query.name if twin is None else f"query/{query.name}"
            gallery[name] = replace(query, name=name)
    return list(gallery.values())


def _looks(item: Item, facts: Mapping[str, InspectedImage]) -> tuple[object, ...]:
    labels = item.identity, item.camera, item.scene
    return (*labels, {sensor: facts[path].digest for sensor, path in item.images.items()})


def _complaint(reading: Reading, stopping: list[Finding]) -> str:
    card, found = reading.dataset.card, kinds(stopping)
    named = listed([_named(finding) for finding in stopping], separator="; ")
    incomplete = set(found) <= {Kind.MISSING, Kind.EXTRA}
    return (
        f"{card.title} in {reading.folder} has {counted(sum(found.values()), 'fault')} ({by_kind(found)}), repair "
        f"the files and run again{', or use them as they are with --allow-incomplete' if incomplete else ''} "
        f"('mdreid-bench check --dataset {card.name}' lists all): {named}."
    )


def _remark(reading: Reading) -> str:
    card, named = reading.dataset.card, dict[str, Finding]()
    for finding in reading.findings:
        named.setdefault(_named(finding) if finding.kind is Kind.COUNT else finding.kind, finding)
    examples = "; ".join(map(_named, named.values()))
    return (
        f"{card.title} is not as it should be ({by_kind(kinds(reading.findings))}), which is noted in the records "
        f"('mdreid-bench check --dataset {card.name}' lists all), such as {examples}."
    )


def _named(finding: Finding) -> str:
    return f"{printable(finding.path)}: {printable(finding.what)}"
