"""Drawings that come out alike each time, without a display; matplotlib is imported when the first is made."""

from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from mdreid_bench.results.storage.atomic import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Kind = Literal["svg", "png"]
_KINDS: tuple[Kind, ...] = ("svg", "png")
_RESOLUTION = 200


def figure(size: tuple[float, float]) -> "Figure":
    """Return an empty figure of a width and a height in inches."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rc("svg", hashsalt="mdreid-bench", fonttype="none")
    matplotlib.rc("font", size=8)
    matplotlib.rc("text", usetex=False, parse_math=False)
    return Figure(figsize=size, layout="constrained")


def save_files(drawing: "Figure", path: Path) -> list[Path]:
    """Write a figure as SVG and as PNG beside a path without a suffix, and return both files, SVG first."""
    files = []
    for kind in _KINDS:
        files.append(path.with_name(f"{path.name}.{kind}"))
        with replacing(files[-1]) as temporary:
            save(drawing, temporary, kind)
    return files


def save(drawing: "Figure", target: IO[bytes] | Path, kind: Kind) -> None:
    """Write a figure without the date and the version of the library, which would change the file each time."""
    metadata = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}[kind]
    drawing.savefig(target, format=kind, dpi=_RESOLUTION, metadata=metadata)
