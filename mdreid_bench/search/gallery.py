"""Images outside any data set: one object seen by whatever sensors were there.

::

    GALLERY/
        RGB/  name.jpg     visible light
        NI/   name.jpg     near infrared
        TI/   name.jpg     thermal infrared

Files of one name (whatever their suffix) show one object at one moment. Any of them may be absent, differently for
every name, and so may whole folders.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mdreid_bench.data.fingerprint import inspect_files
from mdreid_bench.errors import DataError
from mdreid_bench.progress import Reporter
from mdreid_bench.wording import counted, listed, printable
from protocols.modality import Modality

FOLDERS: Mapping[str, Modality] = {"RGB": Modality.R, "NI": Modality.N, "TI": Modality.T}
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp"})


@dataclass(frozen=True)
class Sighting:
    """One object at one moment.

    Attributes:
        name: of its files, without the suffix.
        paths: file of each sensor that saw it; at least one.
    """

    name: str
    paths: Mapping[Modality, Path]

    @property
    def available(self) -> Modality:
        """The sensors that saw it."""
        present = Modality(0)
        for modality in self.paths:
            present |= modality
        return present


def read_gallery(folder: Path, reporter: Reporter) -> list[Sighting]:
    """Find and check the sightings of a gallery folder, sorted by name.

    Args:
        folder: as described above; other files in it are passed over.
        reporter: shows the progress.

    Raises:
        DataError: when there are no images, two files of one sensor share a name, or images are unreadable; all
            faults are counted and the first ten named.
    """
    found: dict[str, dict[Modality, Path]] = {}
    faults: list[str] = []
    for part, modality in FOLDERS.items():
        for path in _images(folder / part):
            sensors = found.setdefault(path.stem, {})
            if modality in sensors:
                faults.append(f"{part}/{printable(path.name)}: same name as {printable(sensors[modality].name)}")
            sensors[modality] = path
    if not found:
        parts = ", ".join(FOLDERS)
        raise DataError(f"No images in {folder}: expected files such as RGB/NAME.jpg in at least one of {parts}.")
    paths = sorted(str(path.relative_to(folder)) for sensors in found.values() for path in sensors.values())
    _, unreadable = inspect_files(folder, paths, reporter)
    faults += [f"{printable(fault.path)}: {fault.what}" for fault in unreadable]
    if faults:
        count, named = counted(len(faults), "fault"), listed(faults, separator="; ")
        raise DataError(f"The gallery {folder} has {count}, repair it and try again: {named}.")
    return [Sighting(name, found[name]) for name in sorted(found)]


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    )
