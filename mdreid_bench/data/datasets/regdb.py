"""RegDB: persons, one visible and one thermal camera, each image by itself, ten splits."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from mdreid_bench.data.card import DatasetCard, SplitCounts
from mdreid_bench.data.dataset import Assignment, Dataset
from mdreid_bench.data.files import read_lines
from mdreid_bench.data.items import Role
from mdreid_bench.data.synthetic import plans
from mdreid_bench.data.synthetic.plan import PlannedFrame, Scale
from mdreid_bench.errors import DataError
from mdreid_bench.wording import printable
from protocols.exclusion import Exclusion
from protocols.modality import Modality

_USES = {"train": Role.TRAIN, "test": Role.QUERY | Role.GALLERY}
_LINE = re.compile(r"(?P<path>\S.*?)\s+(?P<label>[0-9]{1,9})")


class RegDB(Dataset):
    """``Thermal/285/male_back_t_05528_285.bmp``: sex, view, v or t, frame, person; the camera is that of the sensor.

    The lists ``idx/{train,test}_{visible,thermal}_{1..10}.txt`` say what a split trains on and tests with, one path
    and label a line. Labels number the persons of a list from 0; here the folder tells the person. In both directions
    all images of the one sensor are compared with all of the other, and nothing is left out.
    """

    card = DatasetCard(
        name="regdb",
        title="RegDB",
        kind="person",
        paper=(
            "Nguyen, Hong, Kim, Park: Person Recognition System Based on a Combination of Body Images from Visible "
            "Light and Thermal Cameras, Sensors 2017"
        ),
        bibtex="""@article{nguyen2017regdb,
  author  = {Nguyen, Dat Tien and Hong, Hyung Gil and Kim, Ki Wan and Park, Kang Ryoung},
  title   = {Person Recognition System Based on a Combination of Body Images from Visible Light and Thermal Cameras},
  journal = {Sensors},
  volume  = {17},
  number  = {3},
  year    = {2017}
}""",
        licence="for research; the images are obtained from their authors",
        image_size=(288, 144),
        cameras=2,
        exclusion=Exclusion.NONE,
        counts=SplitCounts(4120, 206, 4120, 206, 4120, 206),
        layout="RegDB/{Visible,Thermal}/PERSON/*.bmp and RegDB/idx/{train,test}_{visible,thermal}_{1..10}.txt",
        sensors=Modality.R | Modality.T,
        complete=False,
        metrics=("rank1", "rank10", "rank20", "mAP", "mINP"),
        default_protocols=("R-to-T", "T-to-R"),
        corrupted_set="RegDB-C",
    )
    roles: ClassVar = dict.fromkeys(("Visible", "Thermal"), Role.TRAIN | Role.QUERY | Role.GALLERY)
    sensors: ClassVar = {"Visible": Modality.R, "Thermal": Modality.T}
    grammar = re.compile(
        r"(?P<role>(?P<sensor>Visible|Thermal))/"
        r"(?P<file>(?P<folder>[0-9]{1,4})/[a-z]+_[a-z]+_(?P<letter>[vt])_[0-9]+_(?P<identity>[0-9]{1,4})\.bmp)"
    )
    form = "{Visible,Thermal}/PERSON/SEX_VIEW_{v,t}_FRAME_PERSON.bmp"
    splits = tuple(str(number) for number in range(1, 11))

    def folders(self) -> tuple[str, ...]:
        """Return the two folders of images and that of the lists."""
        return (*self.roles, "idx")

    def item(self, match: re.Match[str]) -> str:
        """Return the path: no two images show the same moment."""
        return match[0]

    def labels(self, match: re.Match[str]) -> tuple[int, int, int]:
        """Return the person, 0 for the visible camera or 1 for the thermal one, and no scene.

        Raises:
            ValueError: when the file lies in the folder of another person or sensor.
        """
        if match["folder"] != match["identity"]:
            raise ValueError("file in the folder of another person")
        if match["letter"] != match["sensor"][0].lower():
            raise ValueError("file in the folder of the other sensor")
        return int(match["identity"]), "vt".index(match["letter"]), 0

    def assignment(self, folder: Path, split: str | None) -> Assignment:
        """Return what the lists of a split say of an image; nothing of one that is in none of them."""
        roles: dict[str, Role] = {}
        for use, paths in self._lists(folder, split).items():
            for path in paths:
                roles[path] = roles.get(path, Role(0)) | _USES[use.partition("_")[0]]
        return lambda match: roles.get(match[0], Role(0))

    def named(self, folder: Path, split: str | None) -> Mapping[str, str]:
        """Return the images that the lists of a split name."""
        return {path: f"idx/{name}.txt" for name, paths in self._lists(folder, split).items() for path in paths}

    def _lists(self, folder: Path, split: str | None) -> dict[str, list[str]]:
        """Return the paths in each list of a split.

        Raises:
            DataError: for a list that cannot be read, a line of another form, or a label that stands for two persons.
        """
        found: dict[str, list[str]] = {}
        for use in _USES:
            persons: dict[str, str] = {}
            for sensor in self.sensors:
                name = f"{use}_{sensor.lower()}_{split}"
                file, paths = folder / "idx" / f"{name}.txt", found.setdefault(name, [])
                for number, line in read_lines(file):
                    match = _LINE.fullmatch(line)
                    if match is None:
                        raise DataError(f"{file}, line {number}, is not a path and a label; restore the list.")
                    person = match["path"].rpartition("/")[0].rpartition("/")[2]
                    if persons.setdefault(match["label"], person) != person:
                        raise DataError(
                            f"{file}, line {number}, gives label {match['label']} to person {printable(person)}, but "
                            f"it is that of person {printable(persons[match['label']])}; restore the list."
                        )
                    paths.append(match["path"])
        return found

    def plan(self, scale: Scale) -> list[PlannedFrame]:
        """Return what synthetic RegDB consists of."""
        return plans.regdb(scale)

    def lists(self, scale: Scale) -> Mapping[str, str]:
        """Return the forty lists of synthetic RegDB."""
        return plans.regdb_lists(scale)
