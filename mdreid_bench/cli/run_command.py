"""``mdreid-bench run``: train or reuse, evaluate, store, print."""

from pathlib import Path
from typing import Annotated

import typer

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import DATA_PANEL, DataRoot, Datasets, Results

METHOD_PANEL, TRAINING_PANEL, PLAN_PANEL = "Methods", "Training", "Plan"


def run(
    dataset: Datasets,
    protocol: Annotated[
        list[str],
        typer.Option(
            "--protocol",
            help="A protocol such as R-to-NT, a suite such as all or missing, or mixed; may be repeated.",
            rich_help_panel=DATA_PANEL,
        ),
    ],
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            help="A method; may be repeated. Default: all registered.",
            rich_help_panel=METHOD_PANEL,
            show_default=False,
        ),
    ] = None,
    data_root: DataRoot = None,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            help="Recipe to start from. Default: paper on real data with CUDA, otherwise tiny.",
            rich_help_panel=TRAINING_PANEL,
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(
            "--seed",
            help="Seed of the training; may be repeated. Default: the recipe's.",
            rich_help_panel=TRAINING_PANEL,
            show_default=False,
            min=0,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs", help="Short for --set schedule.epochs=N.", rich_help_panel=TRAINING_PANEL, show_default=False
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size", help="Short for --set batch.size=N.", rich_help_panel=TRAINING_PANEL, show_default=False
        ),
    ] = None,
    device: Annotated[
        str, typer.Option("--device", help="auto, cpu or cuda.", rich_help_panel=TRAINING_PANEL)
    ] = "auto",
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights",
            help="Evaluate these weights instead of training; needs exactly one --method.",
            rich_help_panel=METHOD_PANEL,
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="YAML file laid over the recipe.",
            rich_help_panel=TRAINING_PANEL,
            show_default=False,
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Set one configuration key, key=value; may be repeated and wins over --config.",
            rich_help_panel=TRAINING_PANEL,
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done and stop.", rich_help_panel=PLAN_PANEL)
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            help="Use at most this many test triplets: whole identities, always the same. Marked everywhere.",
            rich_help_panel=PLAN_PANEL,
            show_default=False,
            min=1,
        ),
    ] = None,
    results: Results = Path("results"),
) -> None:
    """Train methods or reuse them, evaluate them under protocols, store a record for each cell, print the table.

    Nothing is trained or extracted twice: another protocol on the same data needs a moment.

    Examples:

      mdreid-bench run --dataset msvr310 --protocol R-to-NT

      mdreid-bench run --dataset all --protocol all --data-root /data --preset paper

      mdreid-bench run --dataset rgbnt201 --protocol ablation --method mdreid --set options.orthogonality_weight=0
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
    elif not session.carry_out():
        raise typer.Exit(1)
