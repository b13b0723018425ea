"""``mdreid-bench search``: the gallery items that look most like a query."""

from pathlib import Path
from typing import Annotated

from mdreid_bench.cli.command import DATA, OUTPUT, argument, option
from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import DEFAULT_RESULTS, AsJson, Camera, Device, Results
from mdreid_bench.cli.values import count, parse_image
from mdreid_bench.errors import UsageError
from protocols.modality import Modality


def search(
    index: Annotated[Path, argument("INDEX", "Folder made by 'mdreid-bench index'.")],
    rgb: Annotated[Path | None, option(DATA, "--rgb", "The query's visible image.")] = None,
    nir: Annotated[Path | None, option(DATA, "--nir", "The query's near-infrared image.")] = None,
    tir: Annotated[Path | None, option(DATA, "--tir", "The query's thermal image.")] = None,
    images: Annotated[
        list[str],
        option(DATA, "--image", "Image of any sensor, by its letter: D=depth.png; may be repeated."),
    ] = [],  # noqa: B006 - typer copies it
    top: Annotated[
        int,
        count(OUTPUT, "--top", "Number of items to show.", least=1, default=True),
    ] = 10,
    camera: Camera = 0,
    device: Device = "auto",
    as_json: AsJson = False,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Search an index for the object on one image or several.

    The images show the query at one moment, each from another sensor; items
    are found whatever sensors they have. Scores are calibrated where the index
    is.

    Examples:

      mdreid-bench search yard.index --rgb car.jpg

      mdreid-bench search yard.index --nir a.jpg --tir b.jpg --top 5 --json

      mdreid-bench search yard.index --rgb a.jpg --image D=depth.png
    """
    from mdreid_bench.search.session import find, found_json, found_table

    console = Console()
    named = [(Modality.R, rgb), (Modality.N, nir), (Modality.T, tir), *map(parse_image, images)]
    query = {sensor: path for sensor, path in named if path is not None}
    if len(query) != sum(path is not None for _, path in named):
        raise UsageError("Two images are given for one sensor; a query has one image of each.")
    found = find(index, query, top, results, camera, device, console)
    if as_json:
        console.json(found_json(found))
    else:
        console.table(found_table(found))
