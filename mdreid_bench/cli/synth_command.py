"""``mdreid-bench synth``: synthetic data on disk, in the layout of the real datasets."""

from pathlib import Path
from typing import Annotated, get_args

from mdreid_bench.cli.command import DATA, argument
from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import Datasets
from mdreid_bench.cli.values import ALL, choice, chosen, count
from mdreid_bench.data.synthetic.plan import Scale


def synth(
    directory: Annotated[Path, argument("DIR", "Folder to write to; made when missing.")],
    dataset: Datasets = [ALL],  # noqa: B006 - typer copies it
    scale: Annotated[
        Scale,
        choice(
            DATA, "--scale", "tiny for trials; full has the published image counts.", get_args(Scale), default=True
        ),
    ] = "tiny",
    seed: Annotated[
        int,
        count(DATA, "--seed", "Number of the draw.", default=True),
    ] = 0,
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
    for name in chosen(dataset, registry.names(), "dataset", lambda: registry.usable(console.warn, console.message)):
        generate(directory, name, scale, seed, console)
        console.message(f"Synthetic {name} ({scale}, seed {seed}) is ready.")
    console.result(directory)
