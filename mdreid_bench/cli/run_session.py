"""What ``run`` does: resolve what was asked, say what was chosen and why, carry it out, show tables."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.run_command import RunOptions
from mdreid_bench.cli.values import ALL, chosen
from mdreid_bench.cli.workspace import Workspace
from mdreid_bench.config import presets
from mdreid_bench.errors import UsageError
from mdreid_bench.models import registry as methods
from mdreid_bench.report.corruption import corruption_tables
from mdreid_bench.report.lost_sensors import lost_tables
from mdreid_bench.report.run_table import Absent, run_tables
from mdreid_bench.report.tidy import tidy
from mdreid_bench.runs.outcome import UNFIT, Outcomes
from mdreid_bench.runs.plan import Request, plan_cells, plan_runs
from mdreid_bench.runs.preflight import check_configurations
from mdreid_bench.runs.shard import Shard


def measure(options: RunOptions, console: Console, command: Sequence[str]) -> int:
    """Measure everything that is new, print the tables and the path of the records; return the exit code.

    ``command`` is what was typed after ``mdreid-bench``, for jobs.
    Everything that can be refused is refused before data are read. A cell that fails does not keep the others from
    being finished, unless the user wants that. When all fail alike, so does the command.

    Raises:
        UnknownNameError: for an unknown dataset, protocol or method.
        UsageError: for options that do not go together, or CUDA where there is none.
    """
    shard = None if options.shard is None else Shard.parse(options.shard)
    if shard is not None and options.launcher is not None:
        raise UsageError("--launcher has the whole plan carried out; leave --shard out.")
    workspace = Workspace(options, options.settings(), console, options.weights)
    names = chosen(options.methods or [ALL], methods.names(), "method", lambda: methods.runnable(console.warn))
    if options.weights and options.init:
        raise UsageError("--weights evaluates a file and --init starts training from one; give one of them.")
    if options.weights and options.missing:
        raise UsageError("--weights trains nothing, so --missing has no use; leave it out.")
    if options.missing and "missing" in (options.overrides().tree().get("data") or {}):
        raise UsageError("data.missing and --missing are the same setting; give one of them.")
    for flag, file in (("--weights", options.weights), ("--init", options.init)):
        if file:
            names = [_method_of(flag, file, options.methods and names)]
    options.check_corruptions(workspace.cards)
    preset, overrides = options.preset or presets.SMALLEST, options.overrides()
    request = Request(names, preset, options.seeds, overrides, options.weights, missing=options.missing)
    check_configurations(request, workspace.cards)

    runs = plan_runs(
        replace(request, preset=workspace.preset, sources=workspace.sources), workspace.indexes, workspace.store
    )
    if shard is not None:
        ours = shard.take(runs)
        console.message(f"Shard: {shard}, which holds {len(ours)} of {len(runs)} runs.")
        runs = ours
    forms = {card.name: options.with_corruptions(options.form, card) for card in workspace.cards}
    plan = [(run, plan_cells(run, workspace.settings(card := run.index.card), forms[card.name])) for run in runs]
    if options.dry_run:
        workspace.preview(plan, command)
        return 0

    outcomes = workspace.carry_out(plan, command, options.memory_budget)
    if workspace.partial:
        return outcomes.exit_code
    order = {str(setting): place for place, setting in enumerate(workspace.all_settings)}
    records = sorted(outcomes.records, key=lambda record: order[record.protocol])
    if options.as_json:
        console.json({"measured": [*tidy(records)], "not_measured": [vars(gap) for gap in _absent(outcomes)]})
        return outcomes.exit_code
    tables = run_tables([one for one in records if one.corruption is None], _absent(outcomes))
    for table in (*tables, *lost_tables(records), *corruption_tables(records)):
        console.table(table)
    for note in _uncorrupted(outcomes):
        console.message(note)
    workspace.conclude(tables, outcomes)
    if outcomes.last is not None:
        # Of several records, the folder of all of them.
        console.result(outcomes.last if outcomes.cells == 1 else workspace.store.runs)
    return outcomes.exit_code


def _method_of(flag: str, weights: Path, named: Sequence[str]) -> str:
    """Return the method that weights belong to; no others may be named."""
    from mdreid_bench.weights.weights_file import recognise

    method = recognise(weights).method
    if named and list(named) != [method]:
        raise UsageError(f"{flag} {weights} holds weights of {method}, not of {', '.join(named)}.")
    return method


def _uncorrupted(outcomes: Outcomes) -> list[str]:
    """Say, once each, why corruptions were not measured where the images as they are were."""
    measured = {(cell.run.run_key, cell.setting) for cell in (o.cell for o in outcomes.all if o.record is not None)}
    found = (o.cell for o in outcomes.without_record if o.status == UNFIT and o.cell.form.corruption is not None)
    cells = [cell for cell in found if (cell.run.run_key, cell.setting) in measured]
    return list(dict.fromkeys(f"Corrupted images under {cell.setting}: {UNFIT}: {cell.why_not}." for cell in cells))


def _absent(outcomes: Outcomes) -> list[Absent]:
    """Return the cells of images as they are that have no record, and why."""
    return [
        Absent(
            cell.run.config.dataset, cell.run.config.method, str(cell.setting), outcome.reason, cell.run.source_names
        )
        for outcome in outcomes.without_record
        for cell in [outcome.cell]
        if cell.form.corruption is None
    ]
