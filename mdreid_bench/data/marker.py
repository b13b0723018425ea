"""The file that tells generated images from real ones."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from mdreid_bench.errors import DataError
from mdreid_bench.results.storage.atomic import write_text

MARKER = "SYNTHETIC.json"
GENERATOR_VERSION = 1
"""Raised whenever the same seed would give other images."""


class Marker(BaseModel, extra="ignore"):
    """What a generated dataset was made with."""

    generator: int = GENERATOR_VERSION
    dataset: str
    scale: Literal["tiny", "full"]
    seed: int


def write_marker(folder: Path, marker: Marker) -> None:
    """Mark the folder of a dataset as generated."""
    write_text(folder / MARKER, marker.model_dump_json(indent=2) + "\n")


def read_marker(folder: Path) -> Marker | None:
    """Return the marker of a dataset's folder, or None when there is none.

    Raises:
        DataError: when the file is there but damaged: generated images must not pass for real ones.
    """
    path = folder / MARKER
    if not path.exists():
        return None
    try:
        return Marker.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DataError(f"{path} is damaged; remove the folder and generate the dataset again.") from error
