"""Twenty different faults, planted into a healthy MSVR310, each of which must be found once."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from mdreid_bench.data.check_rules import Kind

TRAIN, QUERY, GALLERY = "bounding_box_train", "query3", "bounding_box_test"
SENSORS = ("vis", "ni", "th")
Expected = set[tuple[Kind, str, str]]
"""Kind, path, and a part of the text of each finding."""


class Planter:
    """Spoils one item after the other, none twice.

    Args:
        folder: a healthy MSVR310.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.expected: Expected = set()
        self.train_identities = sorted(path.name for path in (folder / TRAIN).iterdir())
        self.moved = self.train_identities.pop(0)
        self.lost = sorted(path.name for path in (folder / QUERY).iterdir())[0]
        self.train, self.query, self.gallery = (self._names(split) for split in (TRAIN, QUERY, GALLERY))

    def plant(self) -> Expected:
        """Plant all faults and return what must be found."""
        self._names_outside_the_grammar()
        self._missing_and_extra()
        self._unreadable()
        self._sizes()
        self._identities()
        self._duplicates()
        self._counts()
        return self.expected

    def _names(self, split: str) -> list[str]:
        """Names of the items of a split, those of the identities to be moved and lost left out."""
        paths = sorted((self.folder / split).glob("*/vis/*.jpg"))
        taken = ((TRAIN, self.moved), (QUERY, self.lost))
        return [path.name for path in paths if (split, path.parts[-3]) not in taken]

    def _path(self, split: str, name: str, sensor: str) -> Path:
        return self.folder / split / name[:4] / sensor / name

    def _expect(self, kind: Kind, path: Path, what: str) -> None:
        self.expected.add((kind, path.relative_to(self.folder).as_posix(), what))

    def _names_outside_the_grammar(self) -> None:
        source = self._path(TRAIN, self.train[0], "vis")
        stray = self.folder / TRAIN / "stray.jpg"
        other = source.parent / f"9999{source.name[4:]}"
        for path, what in ((stray, "outside the form"), (other, "folder of another identity")):
            shutil.copy(source, path)
            self._expect(Kind.NAME, path, what)
        shutil.copy(source, source.with_suffix(".JPG"))
        self._expect(Kind.NAME, source, "another image has this name and sensor")

    def _missing_and_extra(self) -> None:
        for split, names, sensor in ((TRAIN, self.train, "vis"), (QUERY, self.query, "th")):
            path = self._path(split, names.pop(), sensor)
            path.unlink()
            self._expect(Kind.MISSING, path, "file is missing")
        for split, sensor, grey in ((TRAIN, "ni", 10), (GALLERY, "vis", 20)):
            name = (self.train if split == TRAIN else self.gallery)[0]
            path = self._path(split, f"{name[:12]}_999.jpg", sensor)
            Image.new("L", (64, 64), grey).save(path)
            self._expect(Kind.EXTRA, path, "alone")

    def _unreadable(self) -> None:
        bomb = io.BytesIO()
        Image.new("1", (9_000, 9_000)).save(bomb, "PNG")
        spoiled: tuple[tuple[Callable[[bytes], bytes], str], ...] = (
            (lambda content: b"", "empty file"),
            (lambda content: content[: len(content) // 2], "truncated or damaged"),
            (lambda content: b"no image at all", "not an image"),
            (lambda content: bomb.getvalue(), "64 million pixels"),
            (lambda content: content[:150] + bytes(40) + content[190:], "image"),
        )
        for place, (spoil, what) in enumerate(spoiled):
            split, names = (TRAIN, self.train) if place % 2 else (GALLERY, self.gallery)
            path = self._path(split, names.pop(), SENSORS[place % 3])
            path.write_bytes(spoil(path.read_bytes()))
            self._expect(Kind.IMAGE, path, what)

    def _sizes(self) -> None:
        for split, names, sensor in ((TRAIN, self.train, "ni"), (GALLERY, self.gallery, "vis")):
            path = self._path(split, names.pop(), sensor)
            Image.open(path).resize((40, 30)).save(path)
            self._expect(Kind.SIZE, path, "40x30 pixels, but another image of the item has")

    def _identities(self) -> None:
        """Rename a whole training identity after a test identity, and one query after nobody."""
        wanted = self.gallery[0][:4]
        source, target = self.folder / TRAIN / self.moved, self.folder / TRAIN / wanted
        source.rename(target)
        for path in sorted(target.glob("*/*.jpg")):
            path.rename(path.with_name(wanted + path.name[4:]))
        first = sorted((target / "vis").iterdir())[0]
        self._expect(Kind.OVERLAP, first, f"identity {int(wanted)} is in the test set too")
        name = self.query.pop()
        for sensor in SENSORS:
            path = self._path(QUERY, "9999" + name[4:], sensor)
            path.parent.mkdir(parents=True)
            self._path(QUERY, name, sensor).rename(path)
        self._expect(Kind.POSITIVE, self._path(QUERY, "9999" + name[4:], "vis"), "no gallery item of its identity")
        # The images are still in the gallery under their old name, which would make them duplicates.
        for sensor in SENSORS:
            path = self._path(QUERY, "9999" + name[4:], sensor)
            Image.open(path).save(path, quality=80)

    def _duplicates(self) -> None:
        original, within = self.train[1], self.train.pop()
        across = self._path(GALLERY, self.gallery.pop(), "vis")
        shutil.copy(self._path(TRAIN, original, "vis"), across)
        # The first path in alphabetical order counts as the original.
        self._expect(Kind.DUPLICATE, self._path(TRAIN, original, "vis"), f"same content as {GALLERY}/")
        shutil.copy(self._path(TRAIN, within, "ni"), self._path(TRAIN, within, "vis"))
        self._expect(Kind.DUPLICATE, self._path(TRAIN, within, "vis"), "same content as")

    def _counts(self) -> None:
        """Lose a training item, and all queries of an identity, in whose place the one of nobody is counted."""
        queries = len(list((self.folder / QUERY).glob("*/ni/*.jpg")))
        lost = len(list((self.folder / QUERY / self.lost / "ni").iterdir()))
        shutil.rmtree(self.folder / QUERY / self.lost)
        self._expect(Kind.COUNT, self.folder / QUERY, f"{queries - lost} images instead of {queries}")
        images = len(list((self.folder / TRAIN).glob("*/th/*.jpg")))
        name = self.train.pop()
        for sensor in SENSORS:
            self._path(TRAIN, name, sensor).unlink()
        self._expect(Kind.COUNT, self.folder / TRAIN, f"{images - 1} images instead of {images}")
