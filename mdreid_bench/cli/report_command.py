"""``mdreid-bench report``: the paper's tables from the stored records."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

from mdreid_bench.cli.command import DATA, METHODS, OUTPUT, option
from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import DATASETS, DEFAULT_RESULTS, METHOD_NAMES, PRESETS, SUITE_NAMES, AsJson, Results
from mdreid_bench.cli.source_options import ReportedSources
from mdreid_bench.cli.table_options import TableOptions
from mdreid_bench.cli.values import chosen, folder, parse_seed, reader
from mdreid_bench.config import presets as installed_presets
from mdreid_bench.errors import DataError
from mdreid_bench.report.distractors import NAME as DISTRACTORS
from mdreid_bench.report.figures.cmc import CurveFigure, curve_figure
from mdreid_bench.report.files import write_report
from mdreid_bench.report.groups import Group, group_records
from mdreid_bench.report.letters import lettered
from mdreid_bench.report.lost_sensors import NAME as LOST
from mdreid_bench.report.open_set import NAME as OPEN_SET
from mdreid_bench.report.render.latex import Wanted
from mdreid_bench.report.sections import Contents, Section
from mdreid_bench.report.tidy import tidy
from mdreid_bench.report.transfer import NAME as TRANSFER
from mdreid_bench.results import published
from mdreid_bench.results.schema import Record
from mdreid_bench.results.store import Store
from mdreid_bench.wording import counted
from protocols.suites import SUITES

_NAMED = 10
FLAGS = {
    TRANSFER: "--source DATASET",
    LOST: "--missing RATE",
    OPEN_SET: "--open-set",
    DISTRACTORS: "--distractors DATASET",
}
"""What else has a section of its own beside the suites, and the option that makes records for it."""


@dataclass(frozen=True, kw_only=True)
class ReportOptions(TableOptions):
    """What ``report`` takes; without names, it shows all."""

    datasets: Annotated[list[str], option(DATA, "--dataset", f"Only this dataset; may be repeated: {DATASETS}.")] = (
        field(default_factory=list)
    )
    sources: ReportedSources = field(default_factory=list)
    suites: Annotated[
        list[str],
        option(
            DATA,
            "--suite",
            f"Only the tables of this suite ({SUITE_NAMES}), of transfer, what was trained on against what was "
            "tested with, of open-set or of distractors; may be repeated. Default: the paper's and all else.",
        ),
    ] = field(default_factory=list)
    methods: Annotated[
        list[str],
        option(
            METHODS,
            "--method",
            f"Only this method ({METHOD_NAMES}); may be repeated. Default: all with records, and all in the paper's "
            "tables.",
        ),
    ] = field(default_factory=list)
    seeds: Annotated[
        list[int],
        option(
            METHODS,
            "--seed",
            "Only records of this seed; may be repeated. Default: all.",
            metavar="<list[int]>",
            parser=reader(parse_seed),
        ),
    ] = field(default_factory=list)
    preset: Annotated[
        str | None, option(METHODS, "--preset", f"Only records of this recipe: {PRESETS}. Default: all.")
    ] = None
    published: Annotated[
        bool,
        option(
            OUTPUT,
            "--published/--no-published",
            "Show the published figures and the difference to ours.",
            default=True,
        ),
    ] = True
    letters: Annotated[
        bool,
        option(
            OUTPUT,
            "--letters",
            "Letters for methods that cannot be told apart; compares all queries of all pairs, which takes a while.",
            default=True,
        ),
    ] = False
    markdown: Annotated[bool, option(OUTPUT, "--markdown", "Write Markdown with heat maps.", default=True)] = False
    csv: Annotated[bool, option(OUTPUT, "--csv", "Write CSV, one line a number.", default=True)] = False
    html: Annotated[
        bool, option(OUTPUT, "--html", "Write one page to sort, filter and search in, with figures.", default=True)
    ] = False
    out: Annotated[
        Path | None, folder(OUTPUT, "--out", "Folder for the files; made when missing. Default: tables in --results.")
    ] = None
    as_json: AsJson = False
    results: Results = DEFAULT_RESULTS

    @property
    def formats(self) -> list[str]:
        """The formats to write, by name."""
        return [name for name in ("latex", "markdown", "csv", "html") if getattr(self, name)]


def report(options: ReportOptions) -> int:
    """Make the tables of the paper from the stored records.

    Matched, mismatched and missing sensors, ablation, the grid of all 49
    protocols, sources against targets, and the cost, beside the published
    figures. Nothing is measured:
    what was not run is a dash. Without a format the tables are shown here.
    A row is the mean over the seeds that ran under all protocols of a table;
    other seeds are rows of their own.

    Examples:

      mdreid-bench report --latex --html

      mdreid-bench report --dataset rgbnt201 --suite missing --no-published

      mdreid-bench report --dataset rgbnt201 --suite missing --latex --label tab:missing

      mdreid-bench report --suite overview --metric mAP --metric rank1 --digits 2 --transpose

      mdreid-bench report --preset paper --seed 1 --seed 2 --seed 3
    """
    return ReportSession(options, Console()).report()


class ReportSession:
    """One call of ``report``.

    Raises:
        UnknownNameError: for an unknown suite.
    """

    def __init__(self, options: ReportOptions, console: Console) -> None:
        self.options, self.console = options, console
        self.suites = chosen(options.suites, [*FLAGS, *SUITES], "suite") if options.suites else []
        self.store = Store(options.results)
        self.bad = 0

    def report(self) -> int:
        """Show the tables, or write the files and show where they are; return 1 when a record had to be skipped.

        Raises:
            DataError: when there is nothing to report.
            UnknownNameError: for a dataset or method that is neither registered nor in the records.
        """
        records = self._chosen(list(self._believable()))
        if self.options.as_json:
            self.console.json([*tidy(records)])
            return 1 if self.bad else 0
        groups = group_records(records, self.options.chosen_metrics)
        shown = sum(len(group.records) + len(group.corrupted) + len(group.calibrated) for group in groups)
        alone = len(records) - shown
        if alone:
            told = f"{counted(alone, 'record')} of corrupted images without any of the images as they are"
            if not groups:
                raise DataError(f"There are only {told}; run the cells again, which measures both.")
            self.console.warn(f"{told}: left out of the report; run the cells again, which measures both.")
        contents = self._contents(groups)
        sections = self._sections(contents)
        wanted = self.options.latex_wanted(sum(len(section.tables) for section in sections))
        if self.options.formats:
            self._write(contents, sections, records, wanted)
        else:
            for section in sections:
                for table in section.tables:
                    self.console.table(table)
        return 1 if self.bad else 0

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
        """Keep the datasets, methods, presets and seeds that were asked for."""
        if not records:
            raise DataError(
                f"There are no records in {self.store.runs}; make some with 'mdreid-bench run --dataset msvr310 "
                "--protocol paper-matched', or name another folder with --results."
            )
        datasets = _names(self.options.datasets, "dataset", {record.dataset for record in records})
        methods = _names(self.options.methods, "method", {record.method for record in records})
        preset = [self.options.preset] if self.options.preset else []
        presets = _names(preset, "preset", {*installed_presets.names(), *(record.preset for record in records)})
        asked: list[tuple[str, Sequence[str | int]]] = [
            ("dataset", datasets),
            ("method", methods),
            ("preset", presets),
            ("seed", self.options.seeds),
        ]
        kept = [r for r in records if all(not values or getattr(r, name) in values for name, values in asked)]
        sources = _names(self.options.sources, "dataset", {name for record in records for name in record.trained_on})
        if sources:
            asked.append(("source", sources))
            kept = [r for r in kept if not set(sources).isdisjoint(r.trained_on)]
        if not kept:
            wanted = " ".join(f"--{name} {value}" for name, values in asked for value in dict.fromkeys(values))
            on = "" if datasets else f"--dataset {records[0].dataset} "
            raise DataError(
                f"No record in {self.store.runs} fits {wanted}; make some with 'mdreid-bench run {on}{wanted} "
                "--protocol paper-matched'."
            )
        return kept

    def _contents(self, groups: Sequence[Group]) -> Contents:
        figures = published.figures() if self.options.published else ()
        return Contents(groups, figures, self.options.methods, self._run_folder)

    def _sections(self, contents: Contents) -> list[Section]:
        sections = contents.sections(self.suites)
        if not sections:
            flags = " ".join(FLAGS.get(suite, f"--protocol {suite}") for suite in self.suites)
            scored, dataset = set(self.suites) <= {OPEN_SET, DISTRACTORS}, contents.groups[0].dataset
            command = "score --run RUN" if scored else f"run --dataset {dataset}"
            raise DataError(
                f"No record belongs to {', '.join(self.suites)}; make some with 'mdreid-bench {command} {flags}'."
            )
        shown = self._lettered(sections) if self.options.letters else sections
        return [replace(section, tables=tuple(map(self.options.shape, section.tables))) for section in shown]

    def _lettered(self, sections: Sequence[Section]) -> list[Section]:
        found = []
        with self.console.track("comparing methods", sum(len(section.tables) for section in sections)) as step:
            for section in sections:
                tables = []
                for table in section.tables:
                    tables.append(lettered(table, self._place))
                    step(note=table.title)
                found.append(replace(section, tables=tuple(tables)))
        return found

    def _write(
        self, contents: Contents, sections: Sequence[Section], records: Sequence[Record], wanted: Wanted
    ) -> None:
        groups = contents.groups
        synthetic = any(group.example.data_kind == "synthetic" for group in groups)
        out, formats = self.options.out or self.options.results / "tables", self.options.formats
        how = (lambda: self._curves(groups), synthetic, self.console, records, wanted)
        for path in write_report(out, formats, contents, sections, *how):
            self.console.result(path)

    def _curves(self, groups: Sequence[Group]) -> list[CurveFigure]:
        drawn = []
        with self.console.track("drawing CMC curves", len(groups)) as step:
            for group in groups:
                drawn.append(curve_figure(group, self._place))
                step(note=group.title)
        return [curve for curve in drawn if curve is not None]

    def _run_folder(self, record: Record) -> Path:
        return self.store.folder(record).path

    def _place(self, record: Record) -> Path:
        return self.store.folder(record).scope(record.limit).path_of(record)


def _names(wanted: Sequence[str], kind: str, recorded: set[str]) -> list[str]:
    """Resolve names against what is recorded or registered, without importing any method."""
    registered = {entry.name for entry in entry_points(group=f"mdreid_bench.{kind}s")}
    return chosen(wanted, sorted(recorded | registered), kind) if wanted else []
