"""``mdreid-bench search``: the gallery items that look most like a query."""

from pathlib import Path
from typing import Annotated

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import DATA, DEFAULT_RESULTS, OUTPUT, AsJson, Camera, Device, Results, argument, option


def search(
    index: Annotated[Path, argument("INDEX", "Folder made by 'mdreid-bench index'.")],
    rgb: Annotated[Path | None, option(DATA, "--rgb", "The query's visible image.")] = None,
    nir: Annotated[Path | None, option(DATA, "--nir", "The query's near-infrared image.")] = None,
    tir: Annotated[Path | None, option(DATA, "--tir", "The query's thermal image.")] = None,
    top: Annotated[int, option(OUTPUT, "--top", "Number of items to show.", default=True, min=1)] = 10,
    camera: Camera = 0,
    device: Device = "auto",
    as_json: AsJson = False,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Search an index for the object on one to three images.

    The images show the query at one moment, each from another sensor; items
    are found whatever sensors they have.

    Examples:

      mdreid-bench search yard.index --rgb car.jpg

      mdreid-bench search yard.index --nir a.jpg --tir b.jpg --top 5 --json
    """
    from mdreid_bench.search.session import find, found_json, found_table

    console = Console()
    found = find(index, {"R": rgb, "N": nir, "T": tir}, top, results, camera, device, console)
    if as_json:
        console.json(found_json(found))
    else:
        console.table(found_table(found))
