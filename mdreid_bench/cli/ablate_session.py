"""What ``ablate`` does: rows to runs, each run once, one table for each study and dataset."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mdreid_bench.cli.ablate_command import AblateOptions
from mdreid_bench.cli.console import Console
from mdreid_bench.cli.workspace import Workspace
from mdreid_bench.config import presets
from mdreid_bench.config.resolve import Overrides
from mdreid_bench.errors import UsageError
from mdreid_bench.evaluation.compare import Evaluation, compare
from mdreid_bench.models.mdreid import ablation
from mdreid_bench.models.mdreid.ablation import Study, StudyRow
from mdreid_bench.report.study_table import Gap, MeasuredRow, study_table
from mdreid_bench.report.table import Table
from mdreid_bench.report.variants import PERCENT
from mdreid_bench.runs.outcome import UNFIT, Outcomes
from mdreid_bench.runs.plan import Request, plan_cells, plan_runs
from mdreid_bench.runs.preflight import check_configurations
from mdreid_bench.runs.run import Run
from protocols.suites import Setting

SUITE = "ablation"


def studies(options: AblateOptions) -> list[Study]:
    """Return the studies that the command line asks for.

    Raises:
        UnknownNameError: for an unknown sweep.
        UsageError: for values that are not numbers or go with no sweep, or when nothing is asked for.
    """
    if options.values is not None and len(set(options.sweeps)) != 1:
        raise UsageError("--values holds the values of one sweep; name it with --sweep.")
    values = _numbers(options.values) if options.values is not None else ()
    found = [ablation.ROWS] if options.rows else []
    found += [ablation.sweep(name, values) for name in dict.fromkeys(map(str.lower, options.sweeps))]
    found += [ablation.COMPONENTS] if options.components else []
    if not found:
        raise UsageError("--no-rows leaves nothing to measure; add --sweep or --components.")
    return found


def _numbers(text: str) -> tuple[float, ...]:
    numbers = []
    for part in text.split(","):
        try:
            numbers.append(float(part))
        except ValueError:
            raise UsageError(f"--values takes numbers separated by commas, such as 0.5,1,2, not {text!r}.") from None
        if not (math.isfinite(numbers[-1]) and numbers[-1] >= 0):
            raise UsageError(f"--values takes weights of 0 or more, not {part.strip()!r}.")
    return tuple(numbers)


@dataclass(frozen=True)
class PlannedRow:
    """A row of a study on one dataset: one run per seed."""

    row: StudyRow
    runs: Sequence[Run]


def measure_study(options: AblateOptions, console: Console, command: Sequence[str]) -> int:
    """Measure everything that is new, print the tables and the folder of the records; return the exit code.

    ``command`` is what was typed after ``mdreid-bench``, for jobs.
    Everything that can be refused is refused before data are read.

    Raises:
        UnknownNameError: for an unknown dataset, preset or key.
        UsageError: for values out of range, options that a study sets itself, or CUDA where there is none.
    """
    asked, user = studies(options), options.overrides().tree()
    workspace = Workspace(options, (SUITE,), console)

    def request(row: StudyRow, preset: str) -> Request:
        """Return what ``run`` would be asked for."""
        return Request((row.method,), preset, options.seeds, Overrides(flags=ablation.row_overrides(row, user)))

    for study in asked:
        ablation.check_study(study, user)
        for row in study.rows:
            check_configurations(request(row, options.preset or presets.SMALLEST), workspace.cards)
    preset, store, sources = workspace.preset, workspace.store, workspace.sources
    planned = [
        (
            study,
            [
                PlannedRow(row, plan_runs(replace(request(row, preset), sources=sources), [index], store))
                for row in study.rows
            ],
        )
        for index in workspace.indexes
        for study in asked
    ]
    runs = {run.run_key: run for _, rows in planned for row in rows for run in row.runs}
    plan = [(run, plan_cells(run, workspace.settings(run.index.card))) for run in runs.values()]
    labels = _labels([row for _, rows in planned for row in rows])
    if options.dry_run:
        workspace.preview(plan, command, labels)
        return 0
    outcomes = workspace.carry_out(plan, command, labels=labels)
    if workspace.partial:
        return outcomes.exit_code
    drawn = [_table(study, rows, workspace.settings(rows[0].runs[0].index.card), outcomes) for study, rows in planned]
    tables = [table for table in drawn if table is not None]
    for table in tables:
        console.table(table)
    workspace.conclude(tables, outcomes)
    if outcomes.last is not None:
        console.result(store.runs)
    return outcomes.exit_code


def _labels(rows: Sequence[PlannedRow]) -> dict[str, str]:
    """Return run key -> the rows of the tables that the run stands for; rows of several studies may share one."""
    labels: dict[str, list[str]] = {}
    for row in rows:
        for run in row.runs:
            labels.setdefault(run.run_key, []).append(row.row.label)
    return {key: ", ".join(names) for key, names in labels.items()}


def _table(
    study: Study, planned: Sequence[PlannedRow], settings: Sequence[Setting], outcomes: Outcomes
) -> Table | None:
    rows = []
    for row in planned:
        seeds = {run.run_key: run.config.seed for run in row.runs}
        records = [record for record in outcomes.records if record.run_key in seeds]
        absent = [
            Gap(seeds[outcome.cell.run.run_key], str(outcome.cell.setting), outcome.reason)
            for outcome in outcomes.without_record
            if outcome.cell.run.run_key in seeds
        ]
        rows.append(MeasuredRow(row.row.label, records, absent))
    title = study.title.format(**planned[-1].runs[0].config.options)
    notes = " ".join(filter(None, (study.note, _contrast(study, planned, outcomes))))
    return study_table(title, settings, rows, notes)


def _contrast(study: Study, planned: Sequence[PlannedRow], outcomes: Outcomes) -> str:
    """Tell the difference that the study is about, with its interval; empty where either row lacks a record."""
    if study.contrast is None:
        return ""
    sides = []
    for label in study.contrast:
        runs = {run.run_key for row in planned if row.row.label == label for run in row.runs}
        found = [outcome for outcome in outcomes.by_cell if outcome.cell.run.run_key in runs]
        if not found or any(outcome.record is None for outcome in found if outcome.status != UNFIT):
            return ""
        sides.append([Evaluation.read(outcome.path) for outcome in found if outcome.record is not None])
    try:
        whole = compare(list(zip(*sides, strict=True)))
    except UsageError:  # items that lack sensors, so that each setting has queries of its own
        return ""
    by_seed = [
        compare([(a, b) for a, b in zip(*sides, strict=True) if a.record.seed == seed]).mean_ap.difference.mean
        for seed, _ in whole.seeds
    ]
    gain, each = whole.mean_ap.difference, ", ".join(f"{PERCENT * value:+.1f}" for value in by_seed)
    seeds = f" and {len(by_seed)} seeds ({each})" if len(by_seed) > 1 else ""
    return (
        f"{' against '.join(study.contrast)}: {PERCENT * gain.mean:+.1f} mAP [{PERCENT * gain.low:.1f}, "
        f"{PERCENT * gain.high:.1f}], {whole.protocol} settings{seeds}; 95 % interval of a paired bootstrap over "
        "queries, clustered by identity, of values that are averaged over settings and seeds."
    )
