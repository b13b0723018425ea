"""``mdreid-bench index``: a gallery folder made searchable with a trained method."""

from pathlib import Path
from typing import Annotated

import typer

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import DEFAULT_RESULTS, METHOD_PANEL, OUTPUT_PANEL, Device, Results
from mdreid_bench.cli.search_options import Camera


def index(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write the index to.", show_default=False)],
    gallery: Annotated[
        Path,
        typer.Argument(
            metavar="GALLERY_DIR",
            help="Folder with RGB/NAME.jpg, NI/NAME.jpg, TI/NAME.jpg; one name is one sighting, any may be absent.",
            show_default=False,
        ),
    ],
    run: Annotated[
        str,
        typer.Option(
            "--run",
            help="The trained method: the beginning of a run's key or of its folder's name.",
            rich_help_panel=METHOD_PANEL,
        ),
    ],
    camera: Camera = 0,
    factory: Annotated[
        str,
        typer.Option(
            "--factory",
            help="FAISS factory string; all but Flat may trade exactness for speed.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = "Flat",
    device: Device = "auto",
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Index a gallery of images for 'mdreid-bench search'.

    Every item is embedded from the sensors that it has, so galleries of
    cameras that differ need nothing special. Needs the extra 'search'.

    Examples:

      mdreid-bench index yard.index yard/ --run msvr310-mdreid

      mdreid-bench index yard.index yard/ --run 3f9c --factory HNSW32
    """
    from mdreid_bench.search.session import make_index

    console = Console()
    built = make_index(gallery, out, results, run, camera, factory, device, console)
    console.message(f"Indexed {built.facts.items} items; search them with 'mdreid-bench search {out} --rgb IMAGE'.")
    console.result(out)
