"""``mdreid-bench compare``: the difference between two runs and how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from mdreid_bench.cli.command import DATA, argument, option
from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import DEFAULT_RESULTS, AsJson, AveragePrecisionForm, Limit, Rerank, Results
from mdreid_bench.errors import UsageError
from mdreid_bench.evaluation.compare import Compared, Comparison, Evaluation
from mdreid_bench.evaluation.compare import compare as compared
from mdreid_bench.progress import Reporter
from mdreid_bench.report import remarks
from mdreid_bench.report.sensors import sensors_of
from mdreid_bench.report.table import Cell, Column, Number, Table
from mdreid_bench.report.variants import PERCENT, marked, record_marks
from mdreid_bench.results.finding import find_run, find_runs, find_scope
from mdreid_bench.results.form import Form
from mdreid_bench.results.schema import Record
from mdreid_bench.results.store import Store, load_record
from protocols.modality import RNT, Modality
from protocols.protocol import protocols_of
from protocols.suites import resolve

_SIDE = "the beginning of a run's key or folder name (that of several seeds: all of them), or the path of a record"
INTERVAL_NOTE = "[low, high]: 95 % interval of a paired bootstrap over queries, clustered by identity."
_EVERY_SENSOR = Modality(sum(sensor.value for sensor in Modality))
_ORDER = {str(protocol): place for place, protocol in enumerate(protocols_of(_EVERY_SENSOR))}


def compare(
    a: Annotated[str, argument("A", f"First side: {_SIDE}.")],
    b: Annotated[str, argument("B", "Second side, likewise.")],
    protocol: Annotated[
        list[str] | None,
        option(
            DATA, "--protocol", "A protocol, a suite or mixed; may be repeated. Default: all that both sides have."
        ),
    ] = None,
    average_precision: AveragePrecisionForm = "standard",
    rerank: Rerank = None,
    limit: Limit = None,
    as_json: AsJson = False,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Compare two runs on the queries they share.

    Shows the difference A - B in mAP and Rank-1 with its 95 % interval: a
    paired bootstrap over queries, clustered by identity.

    Examples:

      mdreid-bench compare msvr310-mdreid msvr310-single

      mdreid-bench compare 3f9c 81d2 --protocol paper-mismatched --json
    """
    console = Console()
    session = CompareSession(results, (a, b), tuple(protocol or ()), Form(average_precision, rerank), limit, console)
    if as_json:
        console.json(session.as_json())
    else:
        console.table(session.table())


@dataclass(frozen=True)
class Side:
    """One side of a comparison: the records of a configuration, by protocol and then by seed."""

    typed: str
    records: dict[str, dict[int, tuple[Path, Record]]]

    @property
    def names(self) -> list[str]:
        """Folder names of the runs."""
        found = (record.folder_name for seeds in self.records.values() for _, record in seeds.values())
        return list(dict.fromkeys(found))

    @property
    def marked_names(self) -> str:
        """The names, each with what must be said of its records."""
        records = [record for seeds in self.records.values() for _, record in seeds.values()]
        return ", ".join(dict.fromkeys(marked(r.folder_name, record_marks(r)) for r in records))


class CompareSession:
    """One call of ``compare``; nothing is read but records until the sides are paired.

    Args:
        results: the results folder.
        sides: both, as typed.
        protocols: names as typed; empty for all that both sides have.
        form: in which to compare sides that are runs; records are taken as they are.
        limit: whose evaluations to use, likewise.
        reporter: shows the progress.

    Raises:
        UnknownNameError: for an unknown run or protocol.
        UsageError: when a side is ambiguous.
        DataError: when a record must not be believed.
    """

    def __init__(
        self,
        results: Path,
        sides: tuple[str, str],
        protocols: Sequence[str],
        form: Form,
        limit: int | None,
        reporter: Reporter,
    ) -> None:
        self.reporter = reporter
        self.a, self.b = (_side(Store(results), text, limit, form) for text in sides)
        datasets = [record.dataset for seeds in self.a.records.values() for _, record in seeds.values()]
        sensors = sensors_of(datasets[0], self.a.records) if datasets else RNT
        self.settings = resolve(protocols, sensors)

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """One comparison per protocol and pair of seeds, then one over all pairs where there are several.

        Raises:
            UsageError: when the sides have nothing in common, or were evaluated on different queries.
        """
        found = []
        seeds = {protocol: self._seeds(protocol) for protocol in self._protocols()}
        task = f"comparing {self.a.typed} with {self.b.typed}"
        with self.reporter.track(task, sum(map(len, seeds.values()))) as step:
            for protocol, chosen in seeds.items():
                pairs = []
                for one, other in chosen:
                    paths = self.a.records[protocol][one][0], self.b.records[protocol][other][0]
                    pairs.append((Evaluation.read(paths[0]), Evaluation.read(paths[1])))
                    found.append(compared(pairs[-1:]))
                    step(note=protocol)
                found += [compared(pairs)] if len(pairs) > 1 else []
        return found

    def _protocols(self) -> list[str]:
        if not self.settings:
            shared = self.a.records.keys() & self.b.records.keys()
            if not shared:
                raise UsageError(f"{self.a.typed} and {self.b.typed} have no protocol in common; score one of them.")
            return sorted(shared, key=lambda name: (_ORDER.get(name, len(_ORDER)), name))
        wanted = [str(setting) for setting in self.settings]
        for side in (self.a, self.b):
            lacking = [name for name in wanted if name not in side.records]
            if lacking:
                run = f"--run {side.names[0]} " if side.names else ""
                raise UsageError(
                    f"{side.typed} has no record under {lacking[0]}; "
                    f"make it with 'mdreid-bench score {run}--protocol {lacking[0]}'."
                )
        return wanted

    def _seeds(self, protocol: str) -> list[tuple[int, int]]:
        """Pair equal seeds; one seed against one seed is a pair whatever they are."""
        a, b = sorted(self.a.records[protocol]), sorted(self.b.records[protocol])
        if len(a) == len(b) == 1:
            return [(a[0], b[0])]
        shared = [(seed, seed) for seed in a if seed in b]
        if not shared:
            raise UsageError(
                f"{self.a.typed} and {self.b.typed} share no seed under {protocol} "
                f"({', '.join(map(str, a))} and {', '.join(map(str, b))}); name single runs instead."
            )
        return shared

    def table(self) -> Table:
        """Return one row per comparison; values in percent, differences in percentage points."""
        comparisons = self.comparisons
        example = next(iter(self.a.records[comparisons[0].protocol].values()))[1]
        marks = [f"A: {self.a.marked_names}.", f"B: {self.b.marked_names}."]
        if example.data_kind == "synthetic":
            marks.append(f"SYNTHETIC data in the layout of {example.dataset}, not the published images.")
        if example.average_precision == "trapezoid":
            marks.append("mAP from the trapezoid AP of the Market-1501 MATLAB code.")
        first = comparisons[0]
        return Table(
            title=f"{example.dataset}, A against B{remarks.data_mark(example)}",
            caption=f"Values in %. {first.queries} queries of {first.identities} identities.",
            columns=(
                Column("protocol"),
                Column("seed"),
                *(Column(side, metric, numeric=True) for metric in ("mAP", "Rank-1") for side in ("A", "B", "A - B")),
            ),
            rows=tuple(_row(comparison) for comparison in comparisons),
            footnotes=(*marks, INTERVAL_NOTE),
        )

    def as_json(self) -> dict[str, Any]:
        """Return runs and comparisons as plain values; fractions."""
        return {
            "a": self.a.names,
            "b": self.b.names,
            "comparisons": [_plain(comparison) for comparison in self.comparisons],
        }


def _side(store: Store, text: str, limit: int | None, form: Form) -> Side:
    if text.endswith(".json"):
        path = Path(text)
        record = load_record(path)
        return Side(text, {record.protocol: {record.seed: (path, record)}})
    found: dict[str, dict[int, tuple[Path, Record]]] = {}
    configurations: set[tuple[str, ...]] = set()
    for folder in find_runs(store, text):
        for path in sorted(find_scope(folder, limit).path.glob("*.json")):
            record = load_record(path)
            if form.is_of(record):
                configurations.add((record.config_key, record.selection, record.precision))
                found.setdefault(record.protocol, {})[record.seed] = (path, record)
    if len(configurations) > 1:
        find_run(store, text)  # raises the error that lists the candidates
    return Side(text, found)


def _plain(comparison: Comparison) -> dict[str, Any]:
    return {
        "protocol": comparison.protocol,
        "seeds": [list(pair) for pair in comparison.seeds],
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
    }


def _row(comparison: Comparison) -> tuple[Cell, ...]:
    seeds = comparison.seeds
    shown = f"mean of {len(seeds)}" if len(seeds) > 1 else "/".join(dict.fromkeys(map(str, seeds[0])))
    return (comparison.protocol, shown, *_numbers(comparison.mean_ap), *_numbers(comparison.rank1))


def _numbers(compared: Compared) -> tuple[Number, Number, Number]:
    difference = compared.difference
    interval = (PERCENT * difference.low, PERCENT * difference.high)
    return (
        Number(PERCENT * compared.a),
        Number(PERCENT * compared.b),
        Number(PERCENT * difference.mean, interval=interval),
    )
