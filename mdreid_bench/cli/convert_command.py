"""``mdreid-bench convert``: a released PyTorch checkpoint as a weights file of this suite."""

from pathlib import Path
from typing import Annotated

from mdreid_bench.cli.command import METHODS, argument, option
from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import DATASETS


def convert(
    file: Annotated[Path, argument("FILE", "Released checkpoint, .pth or .pt.")],
    out: Annotated[Path, argument("OUT", "New .safetensors file.")],
    dataset: Annotated[
        str | None,
        option(
            METHODS,
            "--dataset",
            f"Dataset it was trained on, where the file leaves open whether images stand or lie: {DATASETS}.",
        ),
    ] = None,
) -> None:
    """Write a released checkpoint as a weights file of this suite.

    The format is recognised by the names of the parameters. A file with a
    missing, unexpected or misshapen one is refused as a whole. Nothing in
    the file is executed.

    Examples:

      mdreid-bench convert MDReID_RGBNT201.pth mdreid-rgbnt201.safetensors

      mdreid-bench convert best.pth out.safetensors --dataset msvr310
    """
    from mdreid_bench.weights import convert as engine

    console = Console()
    facts = engine.convert(file, out, dataset, reporter=console)
    size = facts.image.size
    assert size is not None
    console.message(
        f"Weights of {facts.method} from {facts.source}: {facts.identities} identities, {facts.cameras} cameras, "
        f"{facts.trunk.layers} blocks, images {size[0]}x{size[1]}."
    )
    console.result(out)
