"""Where runs and records lie on disk.

::

    results/runs/<dataset>-<method>-<preset>-s<seed>-<first 10 digits of the run key>/
        config.yaml
        run.json              what it takes to score again, or to build the method, without the data set
        run.log               what was said and done, when, and by which process
        full/ or limit-200/
            <protocol>.json   the record; <protocol>.trapezoid.json for the other average precision
            <protocol>.npz    the per-query values, likewise
            .<protocol>.lock  who measures it, while somebody does
            embeddings/
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mdreid_bench.errors import DataError
from mdreid_bench.results.per_query import QueryValues
from mdreid_bench.results.record_file import BadRecordError, decode, encode
from mdreid_bench.results.schema import Count, Hash, Name, Part, Record
from mdreid_bench.results.storage import atomic
from protocols.evaluation import AveragePrecision


class RunId(Part):
    """What names the folder of a run; ``key`` is the full run key."""

    dataset: Name
    method: Name
    preset: Name
    seed: Count
    key: Hash

    @classmethod
    def of(cls, record: Record) -> "RunId":
        """Return the run that a record belongs to."""
        return cls(
            dataset=record.dataset,
            method=record.method,
            preset=record.preset,
            seed=record.seed,
            key=record.run_key,
        )

    @property
    def folder_name(self) -> str:
        """``<dataset>-<method>-<preset>-s<seed>-<key10>``."""
        return f"{self.dataset}-{self.method}-{self.preset}-s{self.seed}-{self.key[:10]}"


@dataclass(frozen=True)
class Scope:
    """The evaluations of one run on the full test set or on a limited one."""

    path: Path

    @property
    def embeddings(self) -> Path:
        """Folder of the test embeddings."""
        return self.path / "embeddings"

    def record_path(self, protocol: str, average_precision: AveragePrecision = "standard") -> Path:
        """Return where the record of a protocol lies."""
        return self.path / f"{_stem(protocol, average_precision)}.json"

    def per_query_path(self, protocol: str, average_precision: AveragePrecision = "standard") -> Path:
        """Return where the per-query values of a protocol lie."""
        return self.path / f"{_stem(protocol, average_precision)}.npz"

    def lock_path(self, protocol: str, average_precision: AveragePrecision = "standard") -> Path:
        """Return the lock of the process that measures a protocol."""
        return self.path / f".{_stem(protocol, average_precision)}.lock"

    def write(self, record: Record, per_query: QueryValues) -> Path:
        """Write both files atomically, the record last and naming the other; return the record's path.

        Raises:
            ValueError: when the record belongs to another run or scope.
            DataError: when the file system refuses.
        """
        path = self.record_path(record.protocol, record.average_precision)
        _check_place(path, record)
        values = self.per_query_path(record.protocol, record.average_precision)
        per_query.write(values)
        atomic.write_json(path, encode(record.model_copy(update={"per_query": values.name})))
        return path

    def read(self, protocol: str, average_precision: AveragePrecision = "standard") -> Record | None:
        """Return the record of a protocol, or None when there is none.

        Raises:
            DataError: when the file is there but must not be believed.
        """
        path = self.record_path(protocol, average_precision)
        return load_record(path) if path.exists() else None

    def believed(self, protocol: str, average_precision: AveragePrecision = "standard") -> Record | None:
        """Return the record of a protocol, or None when there is none that can be believed."""
        try:
            return self.read(protocol, average_precision)
        except DataError:
            return None

    def read_per_query(self, protocol: str, average_precision: AveragePrecision = "standard") -> QueryValues:
        """Return the per-query values of a protocol.

        Raises:
            DataError: when the file is missing or damaged.
        """
        return QueryValues.read(self.per_query_path(protocol, average_precision))


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run: a trained method with its evaluations; trained weights lie elsewhere."""

    path: Path

    @property
    def config(self) -> Path:
        """The full configuration in force, YAML."""
        return self.path / "config.yaml"

    @property
    def facts(self) -> Path:
        """What the records of the run share; see :class:`mdreid_bench.results.run_facts.RunFacts`."""
        return self.path / "run.json"

    @property
    def log(self) -> Path:
        """What was said and done; see :class:`mdreid_bench.results.run_log.RunLog`."""
        return self.path / "run.log"

    @property
    def cost(self) -> Path:
        """What one item costs: ``{"parameters": int, "multiply_adds": int}``."""
        return self.path / "cost.json"

    def scope(self, limit: int | None) -> Scope:
        """Return the evaluations with at most ``limit`` test triplets, or with all of them."""
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
        """Return the paths of all record files, sorted."""
        return sorted(self.runs.glob("*/*/*.json"))

    def records(self) -> Iterator[tuple[Path, Record | str]]:
        """Yield every record file in the order of the paths, with its record or with what is wrong with it.

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
        raise DataError(f"The record {path} {problem}; delete it and run the cell again.") from None


def _read(path: Path) -> Record:
    if path.exists() and not path.is_file():  # a pipe would never end
        raise BadRecordError("is not a file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadRecordError(f"cannot be read ({error.strerror})") from None
    record = decode(content)
    try:
        _check_place(path, record)
    except ValueError as error:
        raise BadRecordError(str(error)) from None
    return record


def _check_place(path: Path, record: Record) -> None:
    """Refuse a record outside the folder of its run, where a copy would be counted twice."""
    name = f"{_stem(record.protocol, record.average_precision)}.json"
    expected = Path(RunId.of(record).folder_name, _scope_name(record.limit), name)
    if path.absolute().parts[-3:] != expected.parts:
        raise ValueError(f"lies in the wrong place: it belongs to {expected}")


def _scope_name(limit: int | None) -> str:
    return "full" if limit is None else f"limit-{limit}"


def _stem(protocol: str, average_precision: AveragePrecision) -> str:
    return protocol if average_precision == "standard" else f"{protocol}.{average_precision}"
