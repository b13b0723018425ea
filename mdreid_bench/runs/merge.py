"""Joins results folders, such as those of the shards of one plan, and bundles; never chooses between numbers."""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mdreid_bench.bundles.archive import unpacked
from mdreid_bench.bundles.manifest import check_whole, is_bundle
from mdreid_bench.embedding.stored import EmbeddingFolder
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.progress import Reporter
from mdreid_bench.results.run_facts import RunFacts, read_config
from mdreid_bench.results.schema import ADDED, Record
from mdreid_bench.results.storage.atomic import replacing
from mdreid_bench.results.storage.files import read_regular
from mdreid_bench.results.storage.hashes import content_hash
from mdreid_bench.results.storage.lock import locked
from mdreid_bench.results.storage.place import read_sealed
from mdreid_bench.results.store import RunFolder, Scope, Store, load_record, read_values
from mdreid_bench.results.trained import TrainingFolder
from mdreid_bench.weights import checkpoint
from mdreid_bench.wording import counted, listed
from protocols.modality import subsets

_LARGEST_LOG = 256 << 20
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


@dataclass(frozen=True)
class Origin:
    """A file to be copied, and the hash that it had when it was checked."""

    path: Path
    digest: str


@dataclass
class MergePlan:
    """What is to be copied, and what forbids it.

    Attributes:
        copies: by target, in the order in which they are copied: what vouches for others comes last.
        known: number of records that the target has already, with the same numbers.
        unreadable: folders that cannot be looked into, each with the reason.
        conflicts: one text for each disagreement or file that must not be believed.
    """

    copies: dict[Path, Origin] = field(default_factory=dict)
    records: int = 0
    known: int = 0
    unreadable: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)

    def add(self, origin: Path, destination: Path) -> None:
        """Plan to copy a file that was found intact, unless the target has or gets it."""
        if destination not in self.copies and not destination.exists():
            try:
                self.copies[destination] = Origin(origin, content_hash(origin))
            except OSError as error:
                self.conflicts.append(f"{origin} cannot be read ({error.strerror})")

    def known_at(self, destination: Path) -> Path | None:
        """Return the file that the target has or gets, if there is one."""
        if destination in self.copies:
            return self.copies[destination].path
        return destination if destination.exists() else None


def merge(sources: Sequence[Path], target: Store, reporter: Reporter) -> MergePlan:
    """Copy records, per-query values, embeddings and weights of results folders into one, and return what was done.

    Everything is read, checked and compared before anything is copied, and each copy is read again before it takes
    its place. Two records of one cell may differ in their provenance, and in nothing else. What is unfinished is left
    behind. The target may hold results already. Of a bundle, the hashes of all files are compared besides.

    Args:
        sources: results folders, and bundles as zip files or unpacked.

    Raises:
        UsageError: when a source is the target.
        DataError: when a source holds no results or is a bundle that is not whole, a file of it is damaged or belongs
            to something else, or two records of one cell or two trainings of the same key differ; then nothing is
            copied. Also when a file changes while it is copied.
    """
    with ExitStack() as stack:
        folders = []
        for source in sources:
            if source.resolve() == target.root.resolve():
                raise UsageError(f"{source} is the folder to merge into; name it with --results only.")
            folders.append(stack.enter_context(_opened(source)))
            if not any((folders[-1] / part).is_dir() for part in ("runs", "trained")):
                raise DataError(f"{source} holds no results: expected runs/ or trained/ in it.")
        stack.enter_context(locked(target.root / ".merge.lock", f"merging into {target.root}", reporter))
        plan = MergePlan()
        for source, folder in zip(sources, folders, strict=True):
            _add_trainings(plan, folder, target, reporter, f"comparing the weights in {source}")
            _add_records(plan, Store(folder), target, reporter, f"comparing the records in {source}")
            for texts in (plan.conflicts, plan.unreadable):  # whose paths are to be found when this is over
                texts[:] = [text.replace(str(folder), str(source)) for text in texts]
        if plan.conflicts:
            count, named = counted(len(plan.conflicts), "conflict"), listed(plan.conflicts, separator="; ")
            raise DataError(f"Nothing was merged because of {count}, to be settled on one side: {named}.")
        with reporter.track(f"merging into {target.root}", len(plan.copies)) as step:
            for destination, origin in plan.copies.items():
                _copy(origin, destination)
                step()
    return plan


@contextmanager
def _opened(source: Path) -> Iterator[Path]:
    """Yield a results folder as it is, and a bundle as a folder, once all of its hashes are right."""
    if not source.is_file() and not is_bundle(source):
        yield source
        return
    with unpacked(source) as folder:
        check_whole(folder, source)
        yield folder


def _copy(origin: Origin, destination: Path) -> None:
    with replacing(destination) as temporary:
        shutil.copyfile(origin.path, temporary)
        if content_hash(temporary) != origin.digest:
            raise DataError(f"{origin.path} changed while it was copied to {destination}; merge again.")


def _add_trainings(plan: MergePlan, source: Path, target: Store, reporter: Reporter, task: str) -> None:
    folders = _folders(plan, source / "trained")
    with reporter.track(task, len(folders)) as step:
        for folder in folders:
            if TrainingFolder(folder).weights.is_file():
                _checked(plan, _add_weights, folder, target.root / "trained" / folder.name)
            step()


def _add_weights(plan: MergePlan, origin: Path, destination: Path) -> None:
    theirs, ours = TrainingFolder(origin), TrainingFolder(destination)
    checkpoint.read(theirs.weights, checkpoint.DEPTH)
    known = plan.known_at(ours.weights)
    if known is not None and content_hash(known) != content_hash(theirs.weights):
        raise DataError(f"{known} and {theirs.weights} hold different weights.")
    if theirs.log.is_file():
        _check_log(theirs.log)
        plan.add(theirs.log, ours.log)
    _add_beside(plan, theirs.decoupling, ours.decoupling, "tables of decoupling")
    plan.add(theirs.weights, ours.weights)


def _check_log(path: Path) -> None:
    """Refuse the log of a training that has not one entry for each epoch."""
    try:
        epochs = [json.loads(line)["epoch"] for line in read_regular(path, _LARGEST_LOG).splitlines()]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        epochs = []
    if not epochs or epochs != list(range(1, len(epochs) + 1)):
        raise DataError(f"{path} is not the complete log of a training; only people read it, so move it away.")


def _add_records(plan: MergePlan, source: Store, target: Store, reporter: Reporter, task: str) -> None:
    seen: set[Path] = set()
    with reporter.track(task, len(source.paths())) as step:
        for path, record in source.records():
            if isinstance(record, Record):
                place = target.root / path.relative_to(source.root)
                for folder, add in ((path.parents[1], _add_run), (path.parent, _add_scope)):
                    if folder not in seen:
                        seen.add(folder)
                        _checked(plan, add, folder, target.root / folder.relative_to(source.root))
                _checked(plan, _add_record, path, place)
            elif path.suffix == ".json":
                plan.conflicts.append(f"{path} {record}")
            else:
                plan.unreadable.append(f"{path} {record}")
            step()


def _checked(plan: MergePlan, add: Callable[[MergePlan, Path, Path], None], origin: Path, destination: Path) -> None:
    """Plan something to be copied; a file that must not be believed becomes a conflict."""
    try:
        add(plan, origin, destination)
    except DataError as error:
        plan.conflicts.append(str(error).rstrip("."))


def _add_run(plan: MergePlan, origin: Path, destination: Path) -> None:
    """Plan to copy what all records of a run share, as far as it is there."""
    theirs, ours = RunFolder(origin), RunFolder(destination)
    if theirs.facts.exists():
        facts = RunFacts.read(theirs.facts)
        read_config(theirs.config, facts)
        plan.add(theirs.config, ours.config)
        plan.add(theirs.facts, ours.facts)
    _add_beside(plan, theirs.cost, ours.cost, "tables of cost")
    _add_beside(plan, theirs.decoupling, ours.decoupling, "tables of decoupling")


def _add_beside(plan: MergePlan, theirs: Path, ours: Path, use: str) -> None:
    """Plan to copy a small file beside others, if it is there."""
    if not theirs.exists():
        return
    try:
        read_sealed(theirs)
    except (OSError, ValueError) as error:
        raise DataError(f"{theirs} must not be believed ({error}); only {use} need it.") from None
    plan.add(theirs, ours)


def _add_scope(plan: MergePlan, origin: Path, destination: Path) -> None:
    """Plan to copy the embeddings of a scope: of the images as they are, and of corrupted ones."""
    for folder in Scope(origin).embedding_folders():
        _checked(plan, _add_embeddings, folder, destination / folder.name)


def _add_embeddings(plan: MergePlan, origin: Path, destination: Path) -> None:
    """Plan to copy complete embeddings as a whole, the table that vouches for them last."""
    theirs, ours = EmbeddingFolder(origin), EmbeddingFolder(destination)
    if not theirs.items_file.exists():
        return
    stored = theirs.read_items()
    facts = RunFolder(origin.parents[1]).facts
    if facts.exists():
        theirs.check_training(stored, RunFacts.read(facts).training)
    matrices = subsets(stored.sensors)
    for subset in matrices:
        theirs.load(subset, stored)
    known = plan.known_at(ours.items_file)
    if known is not None:
        if EmbeddingFolder(known.parent).read_items().weights != stored.weights:
            raise DataError(f"{known} and {theirs.items_file} come from different weights.")
        return
    for subset in matrices:
        plan.add(theirs.matrix(subset), ours.matrix(subset))
    plan.add(theirs.items_file, ours.items_file)


def _add_record(plan: MergePlan, origin: Path, destination: Path) -> None:
    """Plan to copy a record with its per-query values."""
    record = load_record(origin)
    if record.per_query is not None:
        read_values(origin, record)
    known = plan.known_at(destination)
    if known is not None:
        _refuse_difference(known, load_record(known), origin, record)
        plan.known += 1
        return
    plan.records += 1
    if record.per_query is not None:
        plan.add(origin.with_name(record.per_query), destination.with_name(record.per_query))
    plan.add(origin, destination)


def _refuse_difference(known: Path, first: Record, path: Path, second: Record) -> None:
    apart = {"provenance", "per_query", "per_query_digest", "schema_version"}
    apart |= {name for name in ADDED if not (getattr(first, name) and getattr(second, name))}
    before, after = (record.model_dump(mode="json", exclude=apart) for record in (first, second))
    if before != after:
        fields = ", ".join(sorted(name for name in before if before[name] != after[name]))
        raise DataError(f"{known} and {path} differ in {fields}.")


def _folders(plan: MergePlan, parent: Path) -> list[Path]:
    try:
        return sorted(path for path in parent.iterdir() if path.is_dir() and _SAFE_NAME.fullmatch(path.name))
    except FileNotFoundError:
        return []
    except OSError as error:
        plan.unreadable.append(f"{parent} cannot be read ({error.strerror})")
        return []
