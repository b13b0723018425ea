"""``mdreid-bench run``: train or reuse, evaluate, store, print."""

import typer

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import (
    DEFAULT_PROTOCOLS,
    DEFAULT_RESULTS,
    Assignments,
    BatchSize,
    Compile,
    ConfigFile,
    DataRoot,
    Datasets,
    Device,
    DryRun,
    Epochs,
    KeepGoing,
    Limit,
    Methods,
    OnNanName,
    Precision,
    Preset,
    Protocols,
    Results,
    Seeds,
    Select,
    Shard,
    Weights,
)
from mdreid_bench.cli.scoring_options import (
    DEFAULT_BUDGET,
    AveragePrecisionName,
    MemoryBudget,
    Mix,
    MixSeed,
    average_precision_of,
    parse_size,
    with_mix,
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
    precision: Precision = None,
    compile_trunk: Compile = False,
    weights: Weights = None,
    select: Select = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    dry_run: DryRun = False,
    limit: Limit = None,
    mix: Mix = None,
    mix_seed: MixSeed = None,
    average_precision: AveragePrecisionName = "standard",
    memory_budget: MemoryBudget = DEFAULT_BUDGET,
    on_nan: OnNanName = "stop",
    shard: Shard = None,
    keep_going: KeepGoing = True,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Train methods or reuse them, evaluate them, print the table.

    Every dataset x method x seed x protocol becomes one record below
    results/runs. Nothing is trained or extracted twice: another protocol on
    the same data takes a moment. What was interrupted goes on where it was,
    and several processes may share one results folder.

    Examples:

      mdreid-bench run --dataset msvr310 --protocol R-to-NT

      mdreid-bench run --dataset all --protocol all --data-root /data

      mdreid-bench run --dataset rgbnt201 --protocol ablation
      --method mdreid --set options.orthogonality_weight=0
    """
    from mdreid_bench.cli.run_session import RunSession, on_nan_of
    from mdreid_bench.cli.workspace import Arguments

    arguments = Arguments(
        datasets=tuple(dataset),
        protocols=with_mix(protocol, mix, mix_seed),
        methods=tuple(method or ()),
        data_root=data_root,
        preset=preset,
        seeds=tuple(seed or ()),
        epochs=epochs,
        batch_size=batch_size,
        device=device,
        precision=precision,
        compile=compile_trunk,
        weights=weights,
        select=select,
        config=config,
        assignments=tuple(assignments or ()),
        limit=limit,
        average_precision=average_precision_of(average_precision),
        memory_budget=parse_size(memory_budget),
        shard=shard,
        on_nan=on_nan_of(on_nan),
        keep_going=keep_going,
        results=results,
    )
    session = RunSession(arguments, Console())
    if dry_run:
        session.show_plan()
        return
    code = session.carry_out()
    if code:
        raise typer.Exit(code)
