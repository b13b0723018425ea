"""``mdreid-bench compare``: differences between runs and how sure they are."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

from mdreid_bench.cli.command import DATA, OUTPUT, argument, option
from mdreid_bench.cli.compare_session import ORDER, check_published, contest_of
from mdreid_bench.cli.console import Console
from mdreid_bench.cli.mixing import Calibrated
from mdreid_bench.cli.options import DEFAULT_RESULTS, AsJson, AveragePrecisionForm, Limit, Rerank, Results
from mdreid_bench.cli.table_options import TableOptions
from mdreid_bench.errors import UsageError
from mdreid_bench.evaluation.compare import Compared, Comparison, Evaluation
from mdreid_bench.evaluation.compare import compare as compared
from mdreid_bench.progress import Reporter
from mdreid_bench.report import remarks
from mdreid_bench.report.origin import made_in_words
from mdreid_bench.report.render.latex import render_latex
from mdreid_bench.report.sections import Section
from mdreid_bench.report.sensors import sensors_of
from mdreid_bench.report.table import Cell, Column, Number, Table
from mdreid_bench.report.titles import dataset_title
from mdreid_bench.report.variants import PERCENT, marked, ordered, record_marks
from mdreid_bench.results.finding import find_run, find_runs, find_scope
from mdreid_bench.results.form import Form
from mdreid_bench.results.schema import Record, Repetition
from mdreid_bench.results.storage.atomic import write_text
from mdreid_bench.results.store import Store, load_record
from protocols.modality import RNT
from protocols.suites import resolve

_RUNS = (
    "any part of the folder names or keys of runs (of several seeds: all of them), or paths of records. Two are set "
    "against each other; of one, or of more, all pairs of the methods that they mean are compared."
)
INTERVAL_NOTE = "[low, high]: 95 % interval of a paired bootstrap over queries, clustered by identity."
P_NOTE = "p: paired randomisation test over identities, of each row by itself (docs/statistics.md)."


@dataclass(frozen=True, kw_only=True)
class CompareOptions(TableOptions):
    """What is compared, and how it is shown."""

    protocol: Annotated[
        list[str], option(DATA, "--protocol", "As for run; may be repeated. Default: all that all sides have.")
    ] = field(default_factory=list)
    average_precision: AveragePrecisionForm = "standard"
    calibration: Calibrated = "none"
    rerank: Rerank = None
    limit: Limit = None
    published: Annotated[
        bool,
        option(
            OUTPUT, "--published", "Say whether published figures lie within the intervals of ours.", default=True
        ),
    ] = False
    out: Annotated[
        Path | None, option(OUTPUT, "--out", "Folder for the LaTeX. Default: comparison in --results.")
    ] = None
    as_json: AsJson = False
    results: Results = DEFAULT_RESULTS


def compare(
    runs: Annotated[list[str], argument("RUN", f"{_RUNS[0].upper()}{_RUNS[1:]}")], options: CompareOptions
) -> None:
    """Compare runs on the queries they share.

    Of two runs, shows the difference A - B in mAP and Rank-1 with its 95 %
    interval, a paired bootstrap over queries, clustered by identity, and the p
    of a paired randomisation test. Of more, all pairs of methods, corrected
    for their number; methods that share a letter cannot be told apart.

    Examples:

      mdreid-bench compare msvr310-mdreid msvr310-single

      mdreid-bench compare 3f9c 81d2 --protocol paper-mismatched --json

      mdreid-bench compare msvr310- --protocol missing --latex

      mdreid-bench compare rgbnt201-mdreid --published
    """
    console, store = Console(), Store(options.results)
    form = Form(options.average_precision, options.rerank, calibration=options.calibration)
    if len(runs) == 2 and not options.published and not options.metrics:
        a, b = (side_of(store, text, options.limit, form) for text in runs)
        found = comparisons(a, b, options.protocol, console)
        plain: Any = {"a": a.names, "b": b.names, "comparisons": [_plain(comparison) for comparison in found]}
        tables = [_table(a, b, found)]
    else:
        metrics = options.chosen_metrics or ["mAP"]
        contest = contest_of(store, runs, options.protocol, options.limit, form, console)
        if options.published:
            check_published(contest)
        elif len(contest.variants) < 2:
            raise UsageError(f"{runs[0]} means one method alone; name another to compare it with, or --published.")
        standings = {metric: contest.standings(metric, console) for metric in metrics}
        plain = {"standings": [one for metric, found in standings.items() for one in contest.plain(metric, found)]}
        tables = [t for m, found in standings.items() for t in contest.tables(m, found, options.published)]
    wanted = options.latex_wanted(len(tables))
    if options.as_json:
        console.json(plain)
    elif options.latex:
        for name, text in render_latex([Section("comparison", tuple(map(options.shape, tables)))], wanted).items():
            write_text((options.out or options.results / "comparison") / name, text)
            console.result((options.out or options.results / "comparison") / name)
    else:
        for table in map(options.shape, tables):
            console.table(table)


@dataclass(frozen=True)
class Side:
    """One side of a comparison: the records of a configuration with their paths, by protocol, then split and seed."""

    typed: str
    by_protocol: dict[str, dict[Repetition, tuple[Path, Record]]]

    @property
    def records(self) -> list[Record]:
        """All of them."""
        return [record for seeds in self.by_protocol.values() for _, record in seeds.values()]

    @property
    def names(self) -> list[str]:
        """Folder names of the runs."""
        return list(dict.fromkeys(record.folder_name for record in self.records))

    @property
    def marked_names(self) -> str:
        """The names, each with what must be said of its records."""
        return ", ".join(dict.fromkeys(marked(record.folder_name, record_marks(record)) for record in self.records))


def comparisons(a: Side, b: Side, protocols: Sequence[str], reporter: Reporter) -> list[Comparison]:
    """Return one comparison per protocol, split and pair of seeds, and one over all seeds where a split has several.

    Without names of protocols, they are all that both sides have.

    Raises:
        UnknownNameError: for an unknown protocol.
        UsageError: when the sides have nothing in common, or were evaluated on different queries.
        DataError: when per-query values must not be believed.
    """
    found = []
    seeds = {protocol: _seeds(a, b, protocol) for protocol in _protocols(a, b, protocols)}
    with reporter.track(f"comparing {a.typed} with {b.typed}", sum(map(len, seeds.values()))) as step:
        for protocol, chosen in seeds.items():
            for _, of_split in groupby(chosen, lambda pair: pair[0][0]):
                pairs = []
                for one, other in of_split:
                    paths = a.by_protocol[protocol][one][0], b.by_protocol[protocol][other][0]
                    pairs.append((Evaluation.read(paths[0]), Evaluation.read(paths[1])))
                    found.append(compared(pairs[-1:]))
                    step(note=protocol)
                found += [compared(pairs)] if len(pairs) > 1 else []
    return found


def _protocols(a: Side, b: Side, names: Sequence[str]) -> list[str]:
    sensors = sensors_of(a.records[0].dataset, a.by_protocol) if a.records else RNT
    wanted = [str(setting) for setting in resolve(names, sensors)]
    if not wanted:
        shared = a.by_protocol.keys() & b.by_protocol.keys()
        if not shared:
            raise UsageError(f"{a.typed} and {b.typed} have no protocol in common; score one of them.")
        return sorted(shared, key=lambda name: (ORDER.get(name, len(ORDER)), name))
    for side in (a, b):
        lacking = [name for name in wanted if name not in side.by_protocol]
        if lacking:
            run = f"--run {side.names[0]} " if side.names else ""
            raise UsageError(
                f"{side.typed} has no record under {lacking[0]}; "
                f"make it with 'mdreid-bench score {run}--protocol {lacking[0]}'."
            )
    return wanted


def _seeds(a: Side, b: Side, protocol: str) -> list[tuple[Repetition, Repetition]]:
    """Pair equal splits and seeds; one record against one record is a pair whatever they are."""
    ours, theirs = ordered(a.by_protocol[protocol]), ordered(b.by_protocol[protocol])
    if len(ours) == len(theirs) == 1:
        return [(ours[0], theirs[0])]
    shared = [(seed, seed) for seed in ours if seed in theirs]
    if not shared:
        raise UsageError(
            f"{a.typed} and {b.typed} share no seed under {protocol} "
            f"({made_in_words(ours)}; {made_in_words(theirs)}); name single runs instead."
        )
    return shared


def _table(a: Side, b: Side, found: Sequence[Comparison]) -> Table:
    """Return one row per comparison; values in percent, differences in percentage points."""
    first = found[0]
    example = next(iter(a.by_protocol[first.protocol].values()))[1]
    marks = [f"A: {a.marked_names}.", f"B: {b.marked_names}."]
    if example.data_kind == "synthetic":
        marks.append(f"SYNTHETIC data in the layout of {dataset_title(example.dataset)}, not the published images.")
    if example.average_precision == "trapezoid":
        marks.append("mAP from the trapezoid AP of the Market-1501 MATLAB code.")
    return Table(
        title=f"{dataset_title(example.dataset)}, A against B{remarks.data_mark(example)}",
        caption=f"Values in %. {first.queries} queries of {first.identities} identities.",
        columns=(
            Column("protocol"),
            Column("seed"),
            *(
                Column(side, metric, numeric=True)
                for metric in ("mAP", "Rank-1")
                for side in ("A", "B", "A - B", "p")
            ),
        ),
        rows=tuple(_row(comparison) for comparison in found),
        footnotes=(*marks, INTERVAL_NOTE, P_NOTE),
    )


def side_of(store: Store, text: str, limit: int | None, form: Form) -> Side:
    """Return the records that a text means: the path of one, or what names a run or the seeds of one configuration.

    Those of a run are of one limit and form; a record is taken as it is.

    Raises:
        UnknownNameError: for an unknown run.
        UsageError: when the text is ambiguous.
        DataError: when a record must not be believed.
    """
    if text.endswith(".json"):
        path = Path(text)
        record = load_record(path)
        return Side(text, {record.protocol: {record.repetition: (path, record)}})
    found: dict[str, dict[Repetition, tuple[Path, Record]]] = {}
    configurations: set[tuple[str, ...]] = set()
    for folder in find_runs(store, text):
        # Not with glob, which passes over a folder that cannot be read.
        for path in sorted(find_scope(folder, limit).path.iterdir()):
            if path.suffix != ".json":
                continue
            record = load_record(path)
            if form.is_of(record):
                configurations.add((record.config_key, record.selection, record.precision))
                found.setdefault(record.protocol, {})[record.repetition] = (path, record)
    if len(configurations) > 1:
        find_run(store, text)  # raises the error that lists the candidates
    return Side(text, found)


def _plain(comparison: Comparison) -> dict[str, Any]:
    return {
        "protocol": comparison.protocol,
        "seeds": [list(pair) for pair in comparison.seeds],
        **({} if comparison.split is None else {"split": comparison.split}),
        "queries": comparison.queries,
        "identities": comparison.identities,
        "mAP": _values(comparison.mean_ap),
        "rank1": _values(comparison.rank1),
    }


def _values(compared: Compared) -> dict[str, float]:
    difference = compared.difference
    return {
        "a": compared.a,
        "b": compared.b,
        "difference": difference.mean,
        "low": difference.low,
        "high": difference.high,
        "p": compared.p,
    }


def _row(comparison: Comparison) -> tuple[Cell, ...]:
    seeds = comparison.seeds
    shown = f"mean of {len(seeds)}" if len(seeds) > 1 else "/".join(dict.fromkeys(map(str, seeds[0])))
    shown += "" if comparison.split is None else f", split {comparison.split}"
    return (comparison.protocol, shown, *_numbers(comparison.mean_ap), *_numbers(comparison.rank1))


def _numbers(compared: Compared) -> tuple[Number, ...]:
    difference = compared.difference
    interval = (PERCENT * difference.low, PERCENT * difference.high)
    return (
        Number(PERCENT * compared.a),
        Number(PERCENT * compared.b),
        Number(PERCENT * difference.mean, interval=interval),
        Number(compared.p, decimals=4),
    )
