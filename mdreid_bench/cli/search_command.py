"""``mdreid-bench search``: the gallery items that look most like a query."""

from pathlib import Path
from typing import Annotated

import typer

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import DATA_PANEL, DEFAULT_RESULTS, OUTPUT_PANEL, AsJson, Device, Results
from mdreid_bench.cli.search_options import Camera

Rgb = Annotated[
    Path | None,
    typer.Option("--rgb", help="The query's visible image.", rich_help_panel=DATA_PANEL, show_default=False),
]
Nir = Annotated[
    Path | None,
    typer.Option("--nir", help="The query's near-infrared image.", rich_help_panel=DATA_PANEL, show_default=False),
]
Tir = Annotated[
    Path | None,
    typer.Option("--tir", help="The query's thermal image.", rich_help_panel=DATA_PANEL, show_default=False),
]


def search(
    index: Annotated[
        Path, typer.Argument(metavar="INDEX", help="Folder made by 'mdreid-bench index'.", show_default=False)
    ],
    rgb: Rgb = None,
    nir: Nir = None,
    tir: Tir = None,
    top: Annotated[
        int, typer.Option("--top", help="Number of items to show.", rich_help_panel=OUTPUT_PANEL, min=1)
    ] = 10,
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
