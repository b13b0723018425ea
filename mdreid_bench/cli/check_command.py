"""``mdreid-bench check``: everything that is wrong with a dataset, in one table."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import AllowIncomplete, AsJson, DataRoot, Datasets, Splits
from mdreid_bench.cli.source_options import CheckedSources, SourceRoot
from mdreid_bench.cli.values import ALL, chosen, sources_of, splits_of
from mdreid_bench.data import registry
from mdreid_bench.data.check import Reading, kinds, read_dataset
from mdreid_bench.data.location import given_root, resolve_data_root
from mdreid_bench.data.transfer import Contents, shared_images
from mdreid_bench.errors import DataError
from mdreid_bench.report.table import Column, Table
from mdreid_bench.wording import by_kind, counted, printable


def check(
    datasets: Datasets,
    data_root: DataRoot = None,
    splits: Splits = [],  # noqa: B006 - typer copies it
    sources: CheckedSources = [],  # noqa: B006 - likewise
    source_root: SourceRoot = None,
    allow_incomplete: AllowIncomplete = False,
    as_json: AsJson = False,
) -> None:
    """Read every image of a dataset and list all faults.

    Looks for missing and extra files, images that do not decode, sizes that
    differ, names outside the form, identities in both train and test,
    queries without a valid positive, duplicates, cameras without training
    images, and counts other than the published ones. Exits with 0 when there
    is none, else with 3. 'run', 'ablate' and 'verify' ask the same rules:
    some faults stop them, the others stand in their records. Every dataset has
    its table, as has every split that is named, and of several --json gives a
    list. With --source, a warning tells how many images of
    the dataset are in another one too, and of how many identities.

    Examples:

      mdreid-bench check --dataset msvr310 --data-root /data

      mdreid-bench check --dataset rgbnt201 --data-root /data --json

      mdreid-bench check --dataset wmveid863 --source msvr310
    """
    console = Console()
    needed = None if given_root(data_root) else console.message
    names = chosen(datasets, registry.names(), "dataset", lambda: registry.usable(console.warn, needed))
    others = [
        _read(source, source_root or data_root, console, incomplete=allow_incomplete)
        for source in sources_of(sources, [registry.get(name).card for name in names])
    ]
    trees: list[dict[str, Any]] = []
    errors: list[DataError] = []
    for name, asked in splits_of(names, splits).items():
        for split in asked:
            try:
                reading = _read(name, data_root, console, split, incomplete=allow_incomplete)
                found = [
                    shared for other in others if (shared := shared_images(_contents(reading), _contents(other)))
                ]
                trees.append(_tree(reading) | ({"shared": [asdict(one) for one in found]} if sources else {}))
                for one in found:
                    console.warn(one.sentence)
                if not as_json:
                    _show(reading, console)
                _refuse(reading)
            except DataError as error:
                errors.append(error)
    several = len(names) > 1 or ALL in map(str.casefold, datasets) or bool(splits)
    if as_json and (trees or several):
        console.json(trees if several else trees[0])
    for earlier in errors[:-1]:
        console.error(str(earlier))
    if errors:
        raise errors[-1]


def _read(name: str, root: Path | None, console: Console, split: str | None = None, *, incomplete: bool) -> Reading:
    location = resolve_data_root(root, name, console)
    console.message(f"Data: {location.reason}")
    return read_dataset(name, location.root, console, split, incomplete=incomplete, anew=True)


def _contents(reading: Reading) -> Contents:
    readable = ((path, i.identity) for i in reading.scan.items for path in i.images.values() if path in reading.facts)
    return Contents(reading.dataset.card.title, dict(readable), reading.facts)


def _show(reading: Reading, console: Console) -> None:
    title = _title(reading)
    if reading.findings:
        console.table(_table(reading))
    else:
        console.result(f"No faults in the {len(reading.paths)} files of {title}, {reading.complete_items} items.")


def _refuse(reading: Reading) -> None:
    """Raise an error that says how many faults there are, if there are any."""
    if found := kinds(reading.findings):
        stopping = sum(finding.count for finding in reading.findings if finding.stops)
        raise DataError(
            f"{_title(reading)} in {reading.folder} has {counted(sum(found.values()), 'fault')} "
            f"({by_kind(found)}), of which {stopping or 'none'} would stop a run; repair the files and check again."
        )


def _title(reading: Reading) -> str:
    return reading.dataset.card.title + ("" if reading.split is None else f" (split {reading.split})")


def _table(reading: Reading) -> Table:
    mark = " (synthetic)" if reading.marker else ""
    files = f"{len(reading.paths)} files were read in {reading.folder}"
    return Table(
        title=f"{_title(reading)}{mark}: what is wrong",
        columns=(Column("kind"), Column("run"), Column("file", wide=True), Column("fault", wide=True)),
        rows=tuple(
            (str(f.kind), "stops" if f.stops else "noted", printable(f.path), printable(f.what))
            for f in reading.findings
        ),
        footnotes=(f"{files}, {reading.complete_items} items are complete.",),
    )


def _tree(reading: Reading) -> dict[str, Any]:
    return {
        "dataset": reading.dataset.card.name,
        **({} if reading.split is None else {"split": reading.split}),
        "folder": str(reading.folder),
        "synthetic": reading.marker is not None,
        "files": len(reading.paths),
        "items": reading.complete_items,
        "faults": [
            {"kind": str(f.kind), "path": printable(f.path), "what": printable(f.what)}
            | {"stops_run": f.stops, "count": f.count}
            for f in reading.findings
        ],
    }
