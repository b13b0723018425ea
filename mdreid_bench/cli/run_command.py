"""``mdreid-bench run``: train or reuse, evaluate, store, print."""

import typer

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import (
    DEFAULT_PROTOCOLS,
    DEFAULT_RESULTS,
    Assignments,
    BatchSize,
    ConfigFile,
    DataRoot,
    Datasets,
    Device,
    DryRun,
    Epochs,
    Limit,
    Methods,
    Preset,
    Protocols,
    Results,
    Seeds,
    Weights,
)


def run(
    dataset: Datasets,
    protocol: Protocols = DEFAULT_PROTOCOLS,
    method: Methods = None,
    data_root: DataRoot = None,
    preset: Preset = None,
    seed: Seeds = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    device: Device = "auto",
    weights: Weights = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    dry_run: DryRun = False,
    limit: Limit = None,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Train methods or reuse them, evaluate them, print the table.

    Every dataset x method x seed x protocol becomes one record below
    results/runs. Nothing is trained or extracted twice: another protocol on
    the same data takes a moment.

    Examples:

      mdreid-bench run --dataset msvr310 --protocol R-to-NT

      mdreid-bench run --dataset all --protocol all --data-root /data

      mdreid-bench run --dataset rgbnt201 --protocol ablation
      --method mdreid --set options.orthogonality_weight=0
    """
    from mdreid_bench.cli.run_session import Arguments, RunSession

    arguments = Arguments(
        datasets=tuple(dataset),
        protocols=tuple(protocol),
        methods=tuple(method or ()),
        data_root=data_root,
        preset=preset,
        seeds=tuple(seed or ()),
        epochs=epochs,
        batch_size=batch_size,
        device=device,
        weights=weights,
        config=config,
        assignments=tuple(assignments or ()),
        limit=limit,
        results=results,
    )
    session = RunSession(arguments, Console())
    if dry_run:
        session.show_plan()
        return
    code = session.carry_out()
    if code:
        raise typer.Exit(code)
