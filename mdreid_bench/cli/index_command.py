"""``mdreid-bench index``: a gallery folder made searchable with a trained method."""

from pathlib import Path
from typing import Annotated, get_args

from mdreid_bench.cli.command import METHODS, OUTPUT, SCORING, argument, option
from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import DEFAULT_RESULTS, Camera, Device, Probes, Results
from mdreid_bench.cli.values import choice
from mdreid_bench.data.items import SENSOR_FOLDERS
from mdreid_bench.results.schema import CalibrationKind

_NAMES = f"Folders may be called {'; '.join(', '.join(names) for names in SENSOR_FOLDERS.values())}, in any letters."


def index(
    gallery: Annotated[
        Path,
        argument(
            "GALLERY",
            "Folder with RGB/NAME.jpg, NI/NAME.jpg, TI/NAME.jpg; one name is one sighting, any may be absent. "
            + _NAMES,
        ),
    ],
    out: Annotated[Path, argument("OUT", "Folder to write the index to.")],
    run: Annotated[
        str,
        option(METHODS, "--run", "The trained run: any part of its folder's name, or of its key, that no other has."),
    ],
    camera: Camera = 0,
    factory: Annotated[
        str,
        option(
            OUTPUT,
            "--factory",
            "FAISS factory string, such as IVF1024,Flat or IVF1024,PQ64; all but Flat may trade exactness for speed, "
            "and how much of an exact search they find is said.",
            default=True,
        ),
    ] = "Flat",
    probes: Probes = None,
    calibration: Annotated[
        CalibrationKind | None,
        choice(
            SCORING,
            "--calibration",
            "standardised makes scores of items with different sensors comparable; none leaves them, so that more "
            "sensors score lower. Default: standardised where some items have more sensors than others and the run "
            "has a calibration.",
            get_args(CalibrationKind),
        ),
    ] = None,
    device: Device = "auto",
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Index a gallery of images for 'mdreid-bench search'.

    Every item is embedded from the sensors that it has. Where these differ,
    MDReID's form scores items with more sensors lower, whoever they show: a
    calibration, which 'run --calibration standardised' makes from training
    images, sets that right. Whatever is passed over is said. Needs the extra
    'search'.

    Examples:

      mdreid-bench index yard/ yard.index --run msvr310-mdreid

      mdreid-bench index yard/ yard.index --run 3f9c --factory HNSW32

      mdreid-bench index yard/ yard.index --run 3f9c --factory IVF256,PQ64
      --probes 16
    """
    from mdreid_bench.search.session import make_index

    console = Console()
    built = make_index(gallery, out, results, run, camera, factory, device, console, probes, calibration)
    console.message(f"Indexed {len(built.names)} items; search them with 'mdreid-bench search {out} --rgb IMAGE'.")
    console.result(out)
