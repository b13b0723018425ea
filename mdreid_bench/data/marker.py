"""The file that tells generated images from real ones, and whether they are still as they were drawn."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from mdreid_bench.errors import DataError
from mdreid_bench.results.storage.atomic import write_text
from mdreid_bench.results.storage.files import read_regular

MARKER = "SYNTHETIC.json"
GENERATOR_VERSION = 2
"""Raised whenever the same seed would give other images."""


class Marker(BaseModel, extra="ignore"):
    """What a generated dataset was made with, and of what files it consists.

    Attributes:
        generator: version of the generator.
        dataset: registered name.
        scale: tiny, or full for the published counts.
        seed: of the generator.
        files: number of images; None in markers of older versions.
        listing: hash of their names and sizes; None likewise.
    """

    generator: int = GENERATOR_VERSION
    dataset: str
    scale: Literal["tiny", "full"]
    seed: int
    files: int | None = None
    listing: str | None = None

    def same_making(self, other: "Marker | None") -> bool:
        """Tell whether another one was made with the same, whatever became of its files."""
        return other is not None and self.model_copy(update={"files": other.files, "listing": other.listing}) == other

    def listed(self, folder: Path, paths: Iterable[str]) -> "Marker":
        """Return the marker with the images that are there, given by their paths relative to ``folder``."""
        lines = [f"{path} {_size(folder / path)}" for path in sorted(paths)]
        digest = hashlib.blake2b("\n".join(lines).encode(errors="surrogateescape"), digest_size=16).hexdigest()
        return self.model_copy(update={"files": len(lines), "listing": digest})

    def damage(self, folder: Path, paths: Iterable[str]) -> str | None:
        """Say in a few words how the images differ from what was drawn; None where nothing is known to."""
        there = self.listed(folder, paths)
        if self.files is None or there == self:
            return None
        if there.files != self.files:
            return f"{there.files} files instead of {self.files}"
        return "files of other names or sizes"


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
        return Marker.model_validate_json(read_regular(path))
    except (OSError, ValidationError) as error:
        raise DataError(
            f"{path} is damaged; move the folder away, and draw it again with 'mdreid-bench synth'."
        ) from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
