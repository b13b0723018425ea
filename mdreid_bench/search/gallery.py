"""Images outside any data set: one object seen by whatever sensors were there.

::

    GALLERY/
        RGB/  name.jpg     visible light
        NI/   name.jpg     near infrared
        TI/   name.jpg     thermal infrared
        D/    name.jpg     depth

Files of one name (whatever their suffix) show one object at one moment. Any of them may be absent, differently for
every name, and so may whole folders.
"""

from collections.abc import Mapping
from pathlib import Path

from mdreid_bench.data.fingerprint import inspect_files
from mdreid_bench.data.images import SUFFIXES, described, rules_of
from mdreid_bench.data.items import Item, Items, Role
from mdreid_bench.errors import DataError
from mdreid_bench.progress import Reporter
from mdreid_bench.wording import counted, listed, printable
from protocols.modality import RNT, Modality

FOLDERS: Mapping[str, Modality] = {"RGB": Modality.R, "NI": Modality.N, "TI": Modality.T, "D": Modality.D}


def seen(name: str, images: Mapping[Modality, Path]) -> Item:
    """Return an item of which nothing is known but its images."""
    own = {sensor: str(images[sensor]) for sensor in Modality if sensor in images}
    return Item(name, identity=0, camera=0, scene=0, roles=Role.QUERY | Role.GALLERY, images=own)


def read_gallery(folder: Path, reporter: Reporter, sensors: Modality = RNT) -> Items:
    """Find and check the items of a gallery folder, sorted by name; the paths of their images are whole.

    Args:
        folder: as described above; other files in it are passed over.
        reporter: shows the progress.
        sensors: whose folders are read.

    Raises:
        DataError: when there are no images, two files of one sensor share a name, or images are unreadable; all
            faults are counted and the first ten named.
    """
    found: dict[str, dict[Modality, Path]] = {}
    faults: list[str] = []
    parts = {part: sensor for part, sensor in FOLDERS.items() if sensor in sensors}
    for part, sensor in parts.items():
        for path in _images(folder / part):
            images = found.setdefault(path.stem, {})
            if sensor in images:
                faults.append(f"{part}/{printable(path.name)}: same name as {printable(images[sensor].name)}")
            images[sensor] = path
    if not found:
        raise DataError(
            f"No images in {folder}: expected files such as RGB/NAME.jpg in at least one of {', '.join(parts)}."
        )
    paths = sorted(str(path.relative_to(folder)) for images in found.values() for path in images.values())
    facts, unreadable = inspect_files(folder, paths, reporter)
    faults += [f"{printable(fault.path)}: {fault.what}" for fault in unreadable]
    if faults:
        count, named = counted(len(faults), "fault"), listed(faults, separator="; ")
        raise DataError(f"The gallery {folder} has {count}, repair it and try again: {named}.")
    for sentence in described(rules_of(facts.values())):
        reporter.message(f"The gallery has {sentence}.")
    return Items.of(seen(name, images) for name, images in found.items())


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )
