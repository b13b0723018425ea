"""``mdreid-bench synth``: synthetic data on disk, in the layout of the real datasets."""

import enum
from pathlib import Path
from typing import Annotated

import typer

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import ALL, DATA_PANEL, Datasets, chosen


class Scale(enum.StrEnum):
    """How many images are drawn."""

    TINY = "tiny"
    FULL = "full"


def synth(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder to write to; made when missing.", show_default=False)
    ],
    dataset: Datasets = [ALL],  # noqa: B006 - typer copies it
    scale: Annotated[
        Scale,
        typer.Option(help="tiny for trials; full has the published image counts.", rich_help_panel=DATA_PANEL),
    ] = Scale.TINY,
    seed: Annotated[int, typer.Option(min=0, help="Number of the draw.", rich_help_panel=DATA_PANEL)] = 0,
) -> None:
    """Write synthetic images in the layouts and name grammars of the real datasets.

    The same seed gives the same images. DIR can then be used as --data-root.

    Examples:

      mdreid-bench synth data

      mdreid-bench synth data --dataset msvr310 --scale full --seed 7
    """
    from mdreid_bench.data import registry
    from mdreid_bench.data.synthetic.generate import generate

    console = Console()
    for name in chosen(dataset, registry.names(), "dataset"):
        generate(directory, name, scale.value, seed, console)
        console.message(f"Synthetic {name} ({scale.value}, seed {seed}) is ready.")
    console.result(directory)
