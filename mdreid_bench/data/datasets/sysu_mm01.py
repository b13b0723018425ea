"""SYSU-MM01: persons, four visible and two near infrared cameras, each image by itself, galleries drawn ten times."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from mdreid_bench.data.card import DatasetCard, SplitCounts
from mdreid_bench.data.dataset import Assignment, Dataset, Scan
from mdreid_bench.data.draws import SHOTS, TRIALS, listed_draw, marked, read_permutations, released_draw
from mdreid_bench.data.files import read_numbers
from mdreid_bench.data.items import Items, Role
from mdreid_bench.data.synthetic import plans
from mdreid_bench.data.synthetic.plan import PlannedFrame, Scale
from mdreid_bench.errors import DataError
from protocols.exclusion import Exclusion
from protocols.modality import Modality
from protocols.suites import Setting
from protocols.trial import Trial

_USES = {"train": Role.TRAIN, "val": Role.TRAIN, "test": Role.QUERY | Role.GALLERY}
_PERMUTATIONS = "exp/rand_perm_cam.mat"
_INDOOR = (0, 1, 2)
"""Cameras 1-3, from 0."""
_WORDS = {
    "": ("all-search", "single-shot", "agw"),
    "indoor": ("indoor-search", "single-shot", "agw"),
    "multi": ("all-search", "multi-shot", "agw"),
    "indoor-multi": ("indoor-search", "multi-shot", "agw"),
    "matlab": ("all-search", "single-shot", "matlab"),
    "indoor-matlab": ("indoor-search", "single-shot", "matlab"),
    "multi-matlab": ("all-search", "multi-shot", "matlab"),
    "indoor-multi-matlab": ("indoor-search", "multi-shot", "matlab"),
}


@dataclass(frozen=True)
class _Lists:
    """What the lists of a folder say: the use of each person, and the file of the draws, if there is one."""

    roles: Mapping[int, Role]
    draws: Path | None

    def __call__(self, match: re.Match[str]) -> Role:
        return self.roles.get(int(match["identity"]), Role(0))


class SYSUMM01(Dataset):
    """``cam3/0006/0012.jpg``: camera 1-6, person, frame; cameras 3 and 6 see near infrared.

    ``exp/{train,val,test}_id.txt`` list the persons; those of the first two are trained on. All test images of the
    query's sensors are queries. The gallery has one image (``multi``: ten) of each person and camera, drawn anew in
    each of ten trials; in indoor search it has only cameras 1-3. Cameras 2 and 3 stand in one room: a query of either
    sees nothing of the other. The scene is 0, or tells in which draws of ``exp/rand_perm_cam.mat`` an image is
    (:func:`mdreid_bench.data.draws.marked`).
    """

    card = DatasetCard(
        name="sysu-mm01",
        title="SYSU-MM01",
        kind="person",
        paper="Wu, Zheng, Yu, Gong, Lai: RGB-Infrared Cross-Modality Person Re-Identification, ICCV 2017",
        bibtex="""@inproceedings{wu2017sysumm01,
  author    = {Wu, Ancong and Zheng, Wei-Shi and Yu, Hong-Xing and Gong, Shaogang and Lai, Jianhuang},
  title     = {{RGB}-Infrared Cross-Modality Person Re-Identification},
  booktitle = {IEEE International Conference on Computer Vision},
  year      = {2017}
}""",
        licence="for research, by an agreement that is to be signed",
        image_size=(288, 144),
        cameras=6,
        exclusion=Exclusion("camera", ((1, 2), (2, 1))),
        counts=SplitCounts(34167, 395, 10578, 96, 10578, 96),
        layout="SYSU-MM01/cam{1..6}/PERSON/*.jpg and SYSU-MM01/exp/{train,val,test}_id.txt",
        sensors=Modality.R | Modality.N,
        complete=False,
        metrics=("rank1", "rank10", "rank20", "mAP", "mINP"),
        default_protocols=("N-to-R", "N-to-R@indoor"),
        corrupted_set="SYSU-MM01-C",
        cmc="identities",
        modes={name: f"{search}, {shots}, draws {draws}" for name, (search, shots, draws) in _WORDS.items()},
        test_cameras=(1374, 1565, 1883, 1918, 1918, 1920),
    )
    roles: ClassVar = {f"cam{number}": Role.TRAIN | Role.QUERY | Role.GALLERY for number in range(1, 7)}
    sensors: ClassVar = {f"cam{number}": Modality.N if number in (3, 6) else Modality.R for number in range(1, 7)}
    grammar = re.compile(r"(?P<file>(?P<role>(?P<sensor>cam(?P<camera>[1-6])))/(?P<identity>[0-9]{4})/[0-9]{4}\.jpg)")
    form = "camC/IIII/FFFF.jpg with C 1-6"

    def folders(self) -> tuple[str, ...]:
        """Return the six folders of images and that of the lists."""
        return (*self.roles, "exp")

    def item(self, match: re.Match[str]) -> str:
        """Return the path: no two images show the same moment."""
        return match[0]

    def labels(self, match: re.Match[str]) -> tuple[int, int, int]:
        """Return person, camera from 0, and no scene."""
        return int(match["identity"]), int(match["camera"]) - 1, 0

    def assignment(self, folder: Path, split: str | None) -> Assignment:
        """Return what the lists say of the person in an image; nothing of one who is in none of them.

        Raises:
            DataError: when a list cannot be read, or holds something else than numbers between commas.
        """
        roles: dict[int, Role] = {}
        for name, role in _USES.items():
            for person in read_numbers(folder / "exp" / f"{name}_id.txt"):
                roles[person] = roles.get(person, Role(0)) | role
        draws = folder / _PERMUTATIONS
        return _Lists(roles, draws if draws.exists() else None)

    def scan(self, paths: Iterable[str], assignment: Assignment | None = None) -> Scan:
        """Turn image paths into items, and keep as their scene what a file of permutations draws.

        Raises:
            DataError: when that file does not fit the images.
        """
        found = super().scan(paths, assignment)
        if not isinstance(assignment, _Lists) or assignment.draws is None:
            return found
        test = [item for item in found.items if Role.GALLERY in item.roles]
        numbers = marked(test, read_permutations(assignment.draws), assignment.draws)
        items = (replace(item, scene=numbers.get(item.name, 0)) for item in found.items)
        return replace(found, items=tuple(items))

    def trials(self, items: Items, setting: Setting) -> tuple[Trial, ...]:
        """Return ten trials, each with another gallery.

        Raises:
            DataError: for the draws ``matlab`` without their file.
        """
        (whole,) = super().trials(items, setting)
        search, shots, draws = _WORDS[setting.mode]
        offered = whole.gallery
        if search == "indoor-search":
            offered = offered[np.isin(items.labels.camera[offered], _INDOOR)]
        if draws == "matlab" and not items.labels.scene.any():
            raise DataError(
                f"The draws {draws} of {setting} need the file {_PERMUTATIONS}, which is not in the folder of "
                f"{self.card.title}; put it there, or leave out '-matlab'."
            )
        draw, count = listed_draw if draws == "matlab" else released_draw, SHOTS if shots == "multi-shot" else 1
        return tuple(whole.keeping(gallery=draw(items, offered, trial, count)) for trial in range(TRIALS))

    def plan(self, scale: Scale) -> list[PlannedFrame]:
        """Return what synthetic SYSU-MM01 consists of."""
        return plans.sysu_mm01(scale)

    def lists(self, scale: Scale) -> Mapping[str, str]:
        """Return the three lists of synthetic SYSU-MM01."""
        return plans.sysu_mm01_lists(scale)
