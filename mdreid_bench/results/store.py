"""Where runs and records lie on disk.

::

    results/runs/<dataset>-<method>-<preset>-s<seed>-<first 10 digits of the run key>/
        config.yaml
        run.json              what it takes to score again, or to build the method, without the dataset
        run.log               what was said and done, when, and by which process
        cost.json             what one item costs: {"parameters": int, "multiply_adds": int}
        calibration.json      how scores of training items are distributed, by the sensors of both sides
        decoupling.json       how alike the parts of an item are, before and after training
        full/ or limit-200/
            <cell>.json       the record
            <cell>.npz        the per-query values
            .<cell>.lock      who measures it, while somebody does
            embeddings/
            embeddings.fog-3.r0/    of corrupted images: the first repetition of fog at level 3

A cell is named after its protocol; ``.trapezoid`` follows for the other average precision, ``.rerank-20-6-0.3`` for
re-ranked results, ``.standardised`` for calibrated scores, ``.corrupt-fog-3.both.r0`` for corrupted images on both
sides.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mdreid_bench.errors import DataError
from mdreid_bench.results.form import PLAIN, Form, cell_of
from mdreid_bench.results.per_query import QueryValues
from mdreid_bench.results.record_file import BadRecordError, decode, encode
from mdreid_bench.results.schema import Record, RunId
from mdreid_bench.results.storage import atomic
from mdreid_bench.results.storage.files import read_regular
from mdreid_bench.results.storage.hashes import content_hash
from protocols.corruption import Corruption

_EMBEDDINGS = "embeddings"


@dataclass(frozen=True)
class Scope:
    """The evaluations of one run on the full test set or on a limited one."""

    path: Path

    @property
    def embeddings(self) -> Path:
        """Folder of the test embeddings."""
        return self.embeddings_of(None)

    def embeddings_of(self, corruption: Corruption | None) -> Path:
        """Return the folder of the embeddings of corrupted test images, or of those as they are."""
        return self.path / (_EMBEDDINGS if corruption is None else f"{_EMBEDDINGS}.{corruption.images}")

    def embedding_folders(self) -> list[Path]:
        """Return the folders of embeddings that there are, sorted."""
        return sorted(path for path in self.path.glob(f"{_EMBEDDINGS}*") if path.is_dir())

    def record_path(self, protocol: str, form: Form = PLAIN) -> Path:
        """Return where the record of a cell lies."""
        return self.path / f"{form.cell(protocol)}.json"

    def path_of(self, record: Record) -> Path:
        """Return where a record of this scope lies."""
        return self.path / f"{cell_of(record)}.json"

    def lock_path(self, protocol: str, form: Form = PLAIN) -> Path:
        """Return the lock of the process that measures a cell."""
        return self.path / f".{form.cell(protocol)}.lock"

    def write(self, record: Record, per_query: QueryValues) -> Record:
        """Write both files atomically, the record last and naming the other; return it as written.

        Raises:
            ValueError: when the record belongs to another run or scope.
            DataError: when the file system refuses.
        """
        path = self.path_of(record)
        _check_place(path, record)
        values = path.with_suffix(".npz")
        named = record.model_copy(update={"per_query": values.name, "per_query_digest": per_query.write(values)})
        atomic.write_json(path, encode(named))
        return named

    def amend(self, record: Record) -> Record:
        """Write a record of this scope anew, with more in it; its per-query values stay. Return it.

        Raises:
            ValueError: when the record belongs to another run or scope.
            DataError: when the file system refuses.
        """
        path = self.path_of(record)
        _check_place(path, record)
        atomic.write_json(path, encode(record))
        return record

    def believed(self, protocol: str, form: Form = PLAIN) -> Record | None:
        """Return the record of a cell, or None when there is none that can be believed, with its per-query values."""
        path = self.record_path(protocol, form)
        try:
            record = load_record(path)
            intact = content_hash(path.with_suffix(".npz")) == record.per_query_digest
        except (DataError, OSError):
            return None
        return record if intact else None


class RunFolder:
    """The folder of one run, and the paths of its files: a trained method with its evaluations."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.facts = path / "run.json"
        self.log = path / "run.log"
        self.cost = path / "cost.json"
        self.decoupling = path / "decoupling.json"
        self.calibration = path / "calibration.json"

    def scope(self, limit: int | None) -> Scope:
        """Return the evaluations with at most ``limit`` test items, or with all of them."""
        return Scope(self.path / _scope_name(limit))


class Store:
    """All runs below one results folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runs = root / "runs"

    def folder(self, run: RunId) -> RunFolder:
        """Return the folder of a run, which need not exist yet."""
        return RunFolder(self.runs / run.folder_name)

    def paths(self) -> list[Path]:
        """Return the paths of all record files, and of folders that cannot be looked into, sorted."""
        found: list[Path] = []
        unreadable: list[Path] = []
        for run in _below(self.runs, unreadable):
            for scope in _below(run, unreadable):
                found += [path for path in _below(scope, unreadable) if path.suffix == ".json"]
        return sorted([*found, *unreadable])

    def records(self) -> Iterator[tuple[Path, Record | str]]:
        """Yield every one of :meth:`paths` with its record or with what is wrong with it.

        The text of a problem completes the sentence "the file ...". Nothing is raised for a bad file.
        """
        for path in self.paths():
            try:
                yield path, _read(path)
            except BadRecordError as problem:
                yield path, str(problem)


def load_record(path: Path) -> Record:
    """Read one record file.

    Raises:
        DataError: when it cannot be read or must not be believed.
    """
    try:
        return _read(path)
    except BadRecordError as problem:
        raise DataError(f"The record {path} {problem}; run the cell again, which replaces it.") from None


def read_values(path: Path, record: Record) -> QueryValues:
    """Read the per-query values that belong to the record at ``path``.

    Raises:
        DataError: when there are none, or they must not be believed.
    """
    if record.per_query is None:
        raise DataError(f"The record {path} has no per-query values; score the cell again.")
    return QueryValues.read(path.with_name(record.per_query), record.per_query_digest)


def _below(folder: Path, unreadable: list[Path]) -> list[Path]:
    """Return what lies in a folder, but for hidden files; add the folder to ``unreadable`` if that cannot be told."""
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError:
        unreadable.append(folder)
        return []


def _read(path: Path) -> Record:
    try:
        content = read_regular(path)
    except OSError as error:
        raise BadRecordError(f"cannot be read ({_reason(path, error)})") from None
    record = decode(content)
    try:
        _check_place(path, record)
    except ValueError as error:
        raise BadRecordError(str(error)) from None
    return record


def _reason(path: Path, error: OSError) -> str:
    """Return why a file, or a folder that must be looked into, cannot be read."""
    try:
        if path.is_dir():
            next(path.iterdir(), None)
    except OSError as found:
        error = found
    return str(error.strerror)


def _check_place(path: Path, record: Record) -> None:
    """Refuse a record outside the folder of its run, where a copy would be counted twice."""
    expected = Path(record.folder_name, _scope_name(record.limit), f"{cell_of(record)}.json")
    if path.absolute().parts[-3:] != expected.parts:
        raise ValueError(f"lies in the wrong place: it belongs to {expected}")


def _scope_name(limit: int | None) -> str:
    return "full" if limit is None else f"limit-{limit}"
