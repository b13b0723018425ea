"""``mdreid-bench ablate``: what each part of MDReID contributes."""

from typing import Annotated

import typer

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import (
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
    OnNanName,
    Precision,
    Preset,
    Results,
    Seeds,
    Select,
)

STUDY_PANEL = "Studies"
DEFAULT_DATASETS = ["rgbnt201"]


def ablate(
    dataset: Datasets = DEFAULT_DATASETS,
    rows: Annotated[
        bool,
        typer.Option(
            "--rows/--no-rows",
            help="The five rows of the ablation; --no-rows leaves the other studies alone.",
            rich_help_panel=STUDY_PANEL,
        ),
    ] = True,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            "--sweep",
            help="Also vary a weight: w1 of ROL without KDL, or w2 of KDL; may be repeated.",
            rich_help_panel=STUDY_PANEL,
            show_default=False,
        ),
    ] = None,
    values: Annotated[
        str | None,
        typer.Option(
            "--values",
            help="Values of the one --sweep, such as 0.5,1,2. Default: the paper's.",
            rich_help_panel=STUDY_PANEL,
            show_default=False,
        ),
    ] = None,
    components: Annotated[
        bool,
        typer.Option(
            "--components",
            help="Also compare by specific vectors alone, shared ones alone, and both.",
            rich_help_panel=STUDY_PANEL,
        ),
    ] = False,
    data_root: DataRoot = None,
    preset: Preset = None,
    seed: Seeds = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    device: Device = "auto",
    precision: Precision = None,
    compile_trunk: Compile = False,
    select: Select = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    dry_run: DryRun = False,
    limit: Limit = None,
    on_nan: OnNanName = "stop",
    keep_going: KeepGoing = True,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Measure what each part of MDReID contributes.

    Five rows as in the paper: single classifier; MDL; MDL + ROL; MDL + KDL;
    all. Each is the same run as run --method with the same options, so what
    is measured already is reused. Shown are the six settings of the suite
    ablation and their mean; with several seeds, mean and standard deviation.

    Options given with --set options.NAME reach the rows whose method has
    that option.

    Examples:

      mdreid-bench ablate

      mdreid-bench ablate --seed 1 --seed 2 --seed 3 --components

      mdreid-bench ablate --no-rows --sweep w1 --values 0,1,1.5,2
    """
    from mdreid_bench.cli.ablate_session import AblateSession, studies
    from mdreid_bench.cli.run_session import on_nan_of
    from mdreid_bench.cli.workspace import Arguments

    arguments = Arguments(
        datasets=tuple(dataset),
        protocols=("ablation",),
        data_root=data_root,
        preset=preset,
        seeds=tuple(seed or ()),
        epochs=epochs,
        batch_size=batch_size,
        device=device,
        precision=precision,
        compile=compile_trunk,
        select=select,
        config=config,
        assignments=tuple(assignments or ()),
        limit=limit,
        on_nan=on_nan_of(on_nan),
        keep_going=keep_going,
        results=results,
    )
    chosen = studies(rows=rows, sweeps=tuple(sweep or ()), values=values, components=components)
    session = AblateSession(arguments, chosen, Console())
    if dry_run:
        session.show_plan()
        return
    code = session.carry_out()
    if code:
        raise typer.Exit(code)
