"""Images outside any dataset: one object seen by whatever sensors were there.

::

    GALLERY/
        RGB/  name.jpg     visible light
        NI/   name.jpg     near infrared
        TI/   name.jpg     thermal infrared
        D/    name.jpg     depth

Folders may have any of the names in ``SENSOR_FOLDERS``. Files of one name, whatever their suffix, show one object at
one moment; letters of another case make no other name, unless one sensor has both. Any file may be absent, other ones
for every name, and so may whole folders. Everything else is passed over, and said.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from mdreid_bench.data.fingerprint import inspect_files
from mdreid_bench.data.images import SUFFIXES, described, rules_of
from mdreid_bench.data.items import SENSOR_FOLDERS, Item, Items, Role
from mdreid_bench.errors import DataError
from mdreid_bench.progress import Reporter
from mdreid_bench.wording import counted, listed, printable
from protocols.modality import Modality


def seen(name: str, images: Mapping[Modality, Path]) -> Item:
    """Return an item of which nothing is known but its images."""
    own = {sensor: str(images[sensor]) for sensor in Modality if sensor in images}
    return Item(name, identity=0, camera=0, scene=0, roles=Role.QUERY | Role.GALLERY, images=own)


def read_gallery(folder: Path, reporter: Reporter, sensors: Modality) -> Items:
    """Find and check the items of a gallery folder, sorted by name; the paths of their images are whole.

    Folders of these sensors are read. What is passed over is said, and how many items have which sensors.

    Raises:
        DataError: when there are no images, a sensor has two folders or two files of one name, or images are
            unreadable; all faults are counted and the first ten named.
    """
    survey = _Survey(folder, sensors)
    found = survey.items()
    if not found and not survey.faults:
        parts = ", ".join(SENSOR_FOLDERS[sensor][0] for sensor in sensors)
        what = f"No images in {folder}: expected files such as RGB/NAME.jpg in at least one of {parts}"
        raise DataError(f"{what}{''.join(f'; {sentence}' for sentence in survey.remarks())}.")
    paths = sorted(str(path.relative_to(folder)) for images in found.values() for path in images.values())
    facts, unreadable = inspect_files(folder, paths, reporter)
    faults = survey.faults + [f"{printable(fault.path)}: {fault.what}" for fault in unreadable]
    if faults:
        count, named = counted(len(faults), "fault"), listed(faults, separator="; ")
        raise DataError(f"The gallery {folder} has {count}, repair it and try again: {named}.")
    for sentence in described(rules_of(facts.values())):
        reporter.message(f"The gallery has {sentence}.")
    for sentence in survey.remarks():
        reporter.message(f"The gallery has {sentence}.")
    items = Items.of(seen(name, images) for name, images in found.items())
    numbers = Counter(str(Modality(code)) for code in items.sensors.tolist()).most_common()
    by_sensors = ", ".join(f"{number} {letters}" for letters, number in numbers)
    reporter.message(f"The gallery has {counted(len(items), 'item')}: {by_sensors}.")
    return items


class _Survey:
    """What lies in a gallery folder: images by sensor and name, what is passed over by kind, and faults."""

    def __init__(self, folder: Path, sensors: Modality) -> None:
        self.images: dict[Modality, dict[str, Path]] = {}
        self.passed: dict[str, list[str]] = {}
        self.faults: list[str] = []
        known = {name.casefold(): sensor for sensor, names in SENSOR_FOLDERS.items() for name in names}
        folders: dict[Modality, str] = {}
        for path in _listed(folder):
            sensor = known.get(path.name.casefold()) if path.is_dir() else None
            if sensor is None:
                kind = "folder" if path.is_dir() else "image" if _is_image(path) else "file"
                self._pass(f"{kind} beside those of sensors", path.name)
            elif sensor not in sensors:
                self._pass("folder of a sensor that the method does not know", path.name)
            elif sensor in folders:
                self.faults.append(f"{printable(path.name)}: a second folder for {sensor} beside {folders[sensor]}")
            else:
                folders[sensor] = path.name
                self._read(path, self.images.setdefault(sensor, {}))

    def _read(self, folder: Path, images: dict[str, Path]) -> None:
        for path in _listed(folder):
            name = f"{folder.name}/{path.name}"
            if not _is_image(path):
                self._pass("folder within those of sensors" if path.is_dir() else "file that is no image", name)
            elif path.stem in images:
                self.faults.append(f"{printable(name)}: same name as {printable(images[path.stem].name)}")
            else:
                images[path.stem] = path

    def _pass(self, what: str, name: str) -> None:
        self.passed.setdefault(what, []).append(printable(name))

    def items(self) -> dict[str, dict[Modality, Path]]:
        """Return the images of each item by its name, which is that of the first sensor."""
        alike: dict[str, list[tuple[Modality, str]]] = {}
        for sensor in sorted(self.images, key=lambda one: one.value):
            for name in self.images[sensor]:
                alike.setdefault(name.casefold(), []).append((sensor, name))
        result: dict[str, dict[Modality, Path]] = {}
        for own in alike.values():
            once = len({sensor for sensor, _ in own}) == len(own)
            for sensor, name in own:
                result.setdefault(own[0][1] if once else name, {})[sensor] = self.images[sensor][name]
        return result

    def remarks(self) -> list[str]:
        """Return a few words on each kind of what is passed over."""
        return [
            f"{len(names)} x {what}, passed over: {listed(names, 5)}" for what, names in sorted(self.passed.items())
        ]


def _listed(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES
