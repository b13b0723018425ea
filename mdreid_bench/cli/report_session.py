"""The steps behind ``report``: read what is stored, choose from it, build the tables, show or write them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import chosen
from mdreid_bench.errors import DataError
from mdreid_bench.report.figures.cmc import CurveFigure, curve_figure
from mdreid_bench.report.files import ReportFiles
from mdreid_bench.report.groups import Group, group_records
from mdreid_bench.report.sections import Contents, Section
from mdreid_bench.results import published
from mdreid_bench.results.schema import Record
from mdreid_bench.results.store import RunId, Store
from protocols.suites import SUITES

_NAMED = 10


@dataclass(frozen=True)
class Arguments:
    """The command line of ``report``, as typed; empty sequences stand for all."""

    datasets: Sequence[str]
    methods: Sequence[str]
    suites: Sequence[str]
    published: bool
    formats: Collection[str]
    out: Path
    results: Path


class ReportSession:
    """One call of ``report``.

    Args:
        arguments: as typed.
        console: to show things on.

    Raises:
        UnknownNameError: for an unknown suite.
    """

    def __init__(self, arguments: Arguments, console: Console) -> None:
        self.arguments, self.console = arguments, console
        self.suites = chosen(arguments.suites, list(SUITES), "suite") if arguments.suites else []
        self.store = Store(arguments.results)
        self.bad = 0

    def carry_out(self) -> bool:
        """Show the tables, or write the files and show where they are; False when a record had to be skipped.

        Raises:
            DataError: when there is nothing to report.
            UnknownNameError: for a dataset or method that is neither registered nor in the records.
        """
        groups = group_records(self._chosen(list(self._believable())))
        sections = self._sections(groups)
        if self.arguments.formats:
            self._write(groups, sections)
        else:
            for section in sections:
                for table in section.tables:
                    self.console.table(table)
        return not self.bad

    def _believable(self) -> Iterator[Record]:
        """Yield the records; name the first of those that must not be believed, and skip them all."""
        with self.console.track(f"reading {self.store.runs}", len(self.store.paths())) as step:
            for path, record in self.store.records():
                if isinstance(record, str):
                    self.bad += 1
                    if self.bad <= _NAMED:
                        self.console.warn(f"{path} {record}; it is skipped.")
                else:
                    yield record
                step()
        if self.bad > _NAMED:
            self.console.warn(f"{self.bad - _NAMED} more records must not be believed; they are skipped too.")

    def _chosen(self, records: list[Record]) -> list[Record]:
        """Keep the datasets and methods that were asked for."""
        if not records:
            raise DataError(
                f"There are no records in {self.store.runs}; make some with 'mdreid-bench run --dataset msvr310 "
                "--protocol paper-matched', or name another folder with --results."
            )
        datasets = _names(self.arguments.datasets, "dataset", {record.dataset for record in records})
        methods = _names(self.arguments.methods, "method", {record.method for record in records})
        kept = [r for r in records if r.dataset in (datasets or [r.dataset]) and r.method in (methods or [r.method])]
        if not kept:
            wanted = " ".join(
                [*(f"--dataset {name}" for name in datasets), *(f"--method {name}" for name in methods)]
            )
            raise DataError(
                f"No record in {self.store.runs} fits {wanted}; make some with 'mdreid-bench run {wanted} "
                "--protocol paper-matched'."
            )
        return kept

    def _sections(self, groups: Sequence[Group]) -> list[Section]:
        figures = published.figures() if self.arguments.published else ()
        contents = Contents(groups, figures, self.arguments.published, self.arguments.methods, self._run_folder)
        sections = contents.sections(self.suites)
        if not sections:
            names = " ".join(f"--protocol {suite}" for suite in self.suites)
            raise DataError(
                f"No record belongs to {', '.join(self.suites)}; make some with 'mdreid-bench run "
                f"--dataset {groups[0].dataset} {names}'."
            )
        return sections

    def _write(self, groups: Sequence[Group], sections: Sequence[Section]) -> None:
        synthetic = any(group.synthetic for group in groups)
        files = ReportFiles(self.arguments.out, sections, lambda: self._curves(groups), synthetic, self.console)
        for path in files.write(self.arguments.formats):
            self.console.result(path)

    def _curves(self, groups: Sequence[Group]) -> list[CurveFigure]:
        drawn = []
        with self.console.track("drawing CMC curves", len(groups)) as step:
            for group in groups:
                drawn.append(curve_figure(group, self._per_query))
                step(note=group.title)
        return [curve for curve in drawn if curve is not None]

    def _run_folder(self, record: Record) -> Path:
        return self.store.folder(RunId.of(record)).path

    def _per_query(self, record: Record) -> Path:
        scope = self.store.folder(RunId.of(record)).scope(record.limit)
        return scope.per_query_path(record.protocol, record.average_precision)


def _names(wanted: Sequence[str], kind: str, recorded: set[str]) -> list[str]:
    """Resolve names against what is recorded or registered, without importing any method."""
    registered = {entry.name for entry in entry_points(group=f"mdreid_bench.{kind}s")}
    return chosen(wanted, sorted(recorded | registered), kind) if wanted else []
