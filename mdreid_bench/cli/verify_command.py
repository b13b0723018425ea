"""``mdreid-bench verify``: given weights against the figures that were published for them."""

from pathlib import Path
from typing import Annotated

import typer

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import DATA_PANEL, DEFAULT_RESULTS, METHOD_PANEL, Assignments, DataRoot, Device, Results


def verify(
    dataset: Annotated[str, typer.Option("--dataset", help="A dataset.", rich_help_panel=DATA_PANEL)],
    weights: Annotated[
        Path,
        typer.Option("--weights", help="Released checkpoint, or a file of this suite.", rich_help_panel=METHOD_PANEL),
    ],
    data_root: DataRoot = None,
    similarity: Annotated[
        str | None,
        typer.Option(
            "--similarity",
            help="released or paper, for MDReID. Default: released, behind the published figures.",
            rich_help_panel=METHOD_PANEL,
            show_default=False,
        ),
    ] = None,
    device: Device = "auto",
    assignments: Assignments = None,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Evaluate weights on every protocol with published figures and compare.

    Prints published value, measured value, difference and verdict for each
    figure. The exit code is 0 only when all agree within 0.1.

    Examples:

      mdreid-bench verify --data-root /data --dataset rgbnt201
      --weights MDReID_RGBNT201.pth
    """
    from mdreid_bench.cli.verify_session import verify as carry_out

    console = Console()
    found = carry_out(dataset, weights, similarity, data_root, device, tuple(assignments or ()), results, console)
    console.table(found.table)
    if not found.agrees:
        console.error("Not all figures agree.")
        raise typer.Exit(1)
    console.message("All figures agree.")
