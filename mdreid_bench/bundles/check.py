"""Whether a bundle is whole, consistent, and of which data; nothing in it is believed because it says so."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import numpy as np

from mdreid_bench.bundles.archive import unpacked
from mdreid_bench.bundles.contents import CARD, ENVIRONMENT, OF_RUN
from mdreid_bench.bundles.finding import Finding, Kind
from mdreid_bench.bundles.manifest import NAME, differences, read_manifest
from mdreid_bench.bundles.open_sets import check_open_set, measured_again
from mdreid_bench.bundles.values import check_alone, check_values
from mdreid_bench.errors import DataError
from mdreid_bench.progress import Reporter
from mdreid_bench.results.form import cell_of
from mdreid_bench.results.per_query import QueryValues
from mdreid_bench.results.run_facts import RunFacts, read_config
from mdreid_bench.results.schema import SCHEMA_VERSION, Record
from mdreid_bench.results.storage.place import read_sealed
from mdreid_bench.results.store import RunFolder, Store, read_values

_OF_TRAINING = ("data_kind", "train_fingerprint", "method_version", "selection", "config_key", "feature_batch")
"""What a record and the description of its run must agree in, beside the parts of the folder's name."""


@dataclass
class Checked:
    """What was found in a bundle.

    Attributes:
        records: those that can be read, by the name of their file.
        asked: what belongs to the test data alone, by data and protocol: a hash, and the file that had it first.
        open_sets: whether that of a record was measured again, by the name of its file.
    """

    records: dict[str, Record] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    asked: dict[tuple[object, ...], tuple[str, str]] = field(default_factory=dict)
    open_sets: dict[str, bool] = field(default_factory=dict)


def check_bundle(path: Path, reporter: Reporter, own: Store | None = None) -> Checked:
    """Read all of a bundle, a zip file or a folder, and return what is in it and what is wrong with it.

    Args:
        path: of the bundle.
        reporter: shows the progress.
        own: a results folder, from whose embeddings of the same runs is measured again what queries do not tell.

    Raises:
        DataError: when it cannot be opened, is not safe to open, or is no bundle.
    """
    found = Checked()
    with unpacked(path) as folder:
        listed = read_manifest(folder, path)
        found.findings += differences(folder, listed)
        store = Store(folder)
        with reporter.track(f"checking {path}", len(store.paths())) as step:
            for place, record in store.records():
                name = place.relative_to(folder).as_posix()
                if isinstance(record, Record):
                    found.records[name] = record
                    found.findings += _check_record(found, name, place, record, own)
                elif place.name not in OF_RUN:
                    kind = Kind.VERSION if "schema version" in record else Kind.DAMAGED
                    found.findings.append(Finding(kind, name, f"it {record}"))
                step()
        for run in sorted({(folder / name).parents[1] for name in found.records}):
            of_run = {name: record for name, record in found.records.items() if record.folder_name == run.name}
            found.findings += _check_run(RunFolder(run), folder, of_run)
        found.findings += [Finding(Kind.ODD, name, "nothing in a bundle needs it") for name in _odd(listed)]
        found.findings += _mixed(found.records)
    if not found.records:
        raise DataError(f"The bundle {path} holds no record that can be read; have it made again.")
    return found


def _odd(listed: Collection[str]) -> Iterator[str]:
    """Yield the names of files that have no business in a bundle: values without a record, and what is no part."""
    for name in sorted(listed):
        parts = name.split("/")
        of_run = parts[0] == "runs" and len(parts) == 3 and parts[2] in OF_RUN
        of_cell = (
            parts[0] == "runs"
            and len(parts) == 4
            and (name.endswith(".json") or f"{name.removesuffix('.npz')}.json" in listed)
        )
        if name not in (CARD, ENVIRONMENT, NAME) and not of_run and not of_cell:
            yield name


def _check_record(found: Checked, name: str, place: Path, record: Record, own: Store | None) -> Iterator[Finding]:
    yield from check_alone(name, record)
    if record.schema_version < SCHEMA_VERSION:
        yield Finding(Kind.OLDER, name, f"it has the older schema version {record.schema_version}")
    if record.per_query is None:
        return
    try:
        values = read_values(place, record)
    except DataError as error:
        yield Finding(Kind.DAMAGED, name, str(error).partition(";")[0].replace(f"{place.parent}/", ""))
        return
    yield from check_values(name, record, values)
    if record.open_set is not None:
        again = measured_again(record, own) if own else None
        found.open_sets[name] = again is not None
        yield from check_open_set(name, record, values, again)
    yield from _asked_alike(found, name, record, values)


def _asked_alike(found: Checked, name: str, record: Record, values: QueryValues) -> Iterator[Finding]:
    """Yield a finding where another record on the same test data has other queries or another gallery."""
    mark = blake2b(digest_size=16)
    for array in (values.names, values.identities, values.trials, values.metrics.positives, values.metrics.items):
        kind = "U" if array.dtype.kind == "U" else np.int64
        mark.update(repr(array.astype(kind).tolist()).encode())
    key = (record.dataset, record.test_fingerprint, cell_of(record), record.counts.trials)
    seen, first = found.asked.setdefault(key, (f"{mark.hexdigest()} {record.counts.gallery}", name))
    if seen != f"{mark.hexdigest()} {record.counts.gallery}":
        yield Finding(
            Kind.COUNTS, name, f"queries, positives or gallery are not those of {first}, on the same test data"
        )


def _check_run(run: RunFolder, root: Path, records: Mapping[str, Record]) -> Iterator[Finding]:
    """Yield what is wrong with the files of a run, and where they and its records contradict each other."""
    name = run.facts.relative_to(root).as_posix()
    for path in (run.cost, run.decoupling):
        try:
            read_sealed(path)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            yield Finding(Kind.DAMAGED, path.relative_to(root).as_posix(), f"it must not be believed ({error})")
    try:
        facts = RunFacts.read(run.facts)
        config = read_config(run.config, facts)
    except DataError as error:
        yield Finding(Kind.DAMAGED, name, str(error).partition(";")[0].replace(f"{run.path}/", ""))
        return
    if config.selection == "best-test" and facts.training is not None and facts.shared.selection != "best-test":
        yield Finding(Kind.SELECTION, name, "by config.yaml the epoch was chosen by looking at the test data")
    if (config.dataset, config.method, config.seed) != (facts.shared.dataset, facts.shared.method, facts.shared.seed):
        yield Finding(Kind.CONTRADICTION, name, "config.yaml is of another dataset, method or seed")
    for file, record in records.items():
        apart = [one for one in ("run_key", *_OF_TRAINING) if getattr(record, one) != getattr(facts.shared, one)]
        if apart:
            yield Finding(Kind.CONTRADICTION, file, f"{', '.join(apart)}: not as in run.json beside it")


def _mixed(records: Mapping[str, Record]) -> Iterator[Finding]:
    """Yield where records of one bundle are not on the same data."""
    kinds: dict[str, dict[str, str]] = {}
    for name, record in records.items():
        where = f"{record.dataset}{f', split {record.split}' if record.split else ''}"
        tested = (f"{where}{f', limit {record.limit}' if record.limit else ''}: test data", record.test_fingerprint)
        trained = f"{where}, {record.method}{f' from {record.sources}' if record.sources else ''}: training data"
        for what, value in (
            ("real and synthetic data", record.data_kind),
            tested,
            *([(trained, record.train_fingerprint)] if record.train_fingerprint else []),
        ):
            kinds.setdefault(what, {}).setdefault(value, name)
    for what, found in kinds.items():
        if len(found) > 1:
            shown = " and ".join(value[:10] for value in sorted(found))
            yield Finding(Kind.MIXED, sorted(found.items())[1][1], f"{what} of {len(found)} kinds: {shown}")
