"""Joins results folders, for example those of the shards of one plan; refuses to choose between different numbers."""

import hashlib
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.progress import Reporter
from mdreid_bench.results.per_query import QueryValues
from mdreid_bench.results.schema import Record
from mdreid_bench.results.storage.atomic import replacing
from mdreid_bench.results.storage.lock import locked
from mdreid_bench.results.store import Store, load_record
from mdreid_bench.results.trained import TrainingFolder
from mdreid_bench.wording import counted, listed

_TABLE = "items.npz"
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


@dataclass
class MergePlan:
    """What is to be copied, and what forbids it.

    Attributes:
        copies: target -> source, in the order in which they are copied: what vouches for others comes last.
        records: number of records to be copied.
        known: number of records that the target has already, with the same numbers.
        conflicts: one text for each disagreement or damaged record.
    """

    copies: dict[Path, Path] = field(default_factory=dict)
    records: int = 0
    known: int = 0
    conflicts: list[str] = field(default_factory=list)


def merge(sources: Sequence[Path], target: Store, reporter: Reporter) -> MergePlan:
    """Copy records, per-query values, embeddings and weights of results folders into one, and return what was done.

    Everything is compared before anything is copied. Two records of one cell may differ in their provenance, and in
    nothing else. What is unfinished is left behind.

    Args:
        sources: results folders.
        target: where to join them; may hold results already.
        reporter: shows the progress.

    Raises:
        UsageError: when a source is the target.
        DataError: when a source holds no results, a record is damaged, or two records of one cell or two trainings of
            the same key differ; then nothing is copied.
    """
    for source in sources:
        if source.resolve() == target.root.resolve():
            raise UsageError(f"{source} is the folder to merge into; name it with --results only.")
        if not any((source / part).is_dir() for part in ("runs", "trained")):
            raise DataError(f"{source} holds no results: expected runs/ or trained/ in it.")
    with locked(target.root / ".merge.lock", f"merging into {target.root}", reporter):
        plan = MergePlan()
        for source in sources:
            _add_trainings(plan, source, target, reporter)
            _add_records(plan, Store(source), target, reporter)
        if plan.conflicts:
            raise DataError(_complaint(plan.conflicts))
        with reporter.track(f"merging into {target.root}", len(plan.copies)) as step:
            for destination, origin in plan.copies.items():
                with replacing(destination) as temporary:
                    shutil.copyfile(origin, temporary)
                step()
    return plan


def _add_trainings(plan: MergePlan, source: Path, target: Store, reporter: Reporter) -> None:
    folders = _folders(source / "trained")
    with reporter.track(f"comparing the weights in {source}", len(folders)) as step:
        for folder in folders:
            ours, theirs = TrainingFolder(target.root / "trained" / folder.name), TrainingFolder(folder)
            if theirs.weights.is_file():
                _add(plan, theirs.log, ours.log, lambda first, second: True)
                _add(plan, theirs.weights, ours.weights, _same_content)
            step()


def _add_records(plan: MergePlan, source: Store, target: Store, reporter: Reporter) -> None:
    with reporter.track(f"comparing the records in {source.root}", len(source.paths())) as step:
        for path, record in source.records():
            if isinstance(record, str):
                plan.conflicts.append(f"{path} {record}")
            else:
                _add_record(plan, path, record, target.root, path.relative_to(source.root))
            step()


def _add_record(plan: MergePlan, path: Path, record: Record, target: Path, place: Path) -> None:
    """Plan to copy a record, at ``place`` below the target, with what belongs to it."""
    run, scope = path.parents[1], path.parent
    for name in ("config.yaml", "run.json", "cost.json"):
        _add(plan, run / name, target / place.parents[1] / name, lambda first, second: True)
    _add_embeddings(plan, scope / "embeddings", target / place.parent / "embeddings")
    known = plan.copies.get(target / place, target / place)
    if known.exists() and (reason := _difference(known, path, record)):
        plan.conflicts.append(reason)
    elif known.exists():
        plan.known += 1
    else:
        plan.records += 1
        _add_values(plan, path, record, target / place)
        plan.copies[target / place] = path


def _add(plan: MergePlan, origin: Path, destination: Path, alike: Callable[[Path, Path], bool]) -> None:
    """Plan to copy a file that is there, unless the target has or gets it; another content may be a conflict."""
    if not origin.is_file():
        return
    known = plan.copies.get(destination, destination)
    if not known.exists():
        plan.copies[destination] = origin
    elif not alike(known, origin):
        plan.conflicts.append(f"{known} and {origin} hold different weights")


def _add_embeddings(plan: MergePlan, origin: Path, destination: Path) -> None:
    """Plan to copy complete embeddings as a whole, the table that vouches for them last."""
    if not (origin / _TABLE).is_file() or (destination / _TABLE).exists() or destination / _TABLE in plan.copies:
        return
    for matrix in sorted(origin.glob("*.npy")):
        plan.copies[destination / matrix.name] = matrix
    plan.copies[destination / _TABLE] = origin / _TABLE


def _add_values(plan: MergePlan, path: Path, record: Record, destination: Path) -> None:
    """Plan to copy the per-query values of a record."""
    if record.per_query is None:
        return
    values = path.with_name(record.per_query)
    try:
        QueryValues.read(values)
    except DataError as error:
        plan.conflicts.append(str(error).rstrip("."))
    plan.copies[destination.with_name(record.per_query)] = values


def _difference(known: Path, path: Path, record: Record) -> str:
    """Return how a record differs from the known one of the same cell, or an empty text."""
    try:
        first = load_record(known)
    except DataError as error:
        return str(error).rstrip(".")
    before, after = (r.model_dump(mode="json", exclude={"provenance", "per_query"}) for r in (first, record))
    if before == after:
        return ""
    fields = ", ".join(sorted(name for name in before if before[name] != after[name]))
    return f"{known} and {path} differ in {fields}"


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if path.is_dir() and _SAFE_NAME.fullmatch(path.name))


def _same_content(first: Path, second: Path) -> bool:
    digests = []
    for path in (first, second):
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").digest())
    return digests[0] == digests[1]


def _complaint(conflicts: Sequence[str]) -> str:
    count, named = counted(len(conflicts), "conflict"), listed(conflicts, separator="; ")
    return f"Nothing was merged because of {count}, of which one side must be removed: {named}."
