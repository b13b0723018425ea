"""LLCM: persons in low light, nine cameras for visible and near infrared images, galleries drawn ten times."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from mdreid_bench.data.card import DatasetCard, SplitCounts
from mdreid_bench.data.dataset import Assignment, Dataset
from mdreid_bench.data.draws import TRIALS, released_draw
from mdreid_bench.data.files import read_lines, read_numbers
from mdreid_bench.data.items import Items, Role
from mdreid_bench.data.synthetic import plans
from mdreid_bench.data.synthetic.plan import PlannedFrame, Scale
from protocols.exclusion import Exclusion
from protocols.modality import Modality
from protocols.suites import Setting
from protocols.trial import Trial

_TEST = Role.QUERY | Role.GALLERY
_CAMERA = re.compile(r"_c0?([1-9])_")


class LLCM(Dataset):
    """``vis/0351/0351_c06_s200656_f4830_vis.jpg`` to train, ``test_vis/cam6/0351/*.jpg`` to test: person, camera 1-9.

    ``idx/train_{vis,nir}.txt`` list the training images, ``idx/test_id.txt`` the persons to test with. The gallery
    has one image of each person and camera, drawn anew in each of ten trials; with the mode ``transposed`` queries
    are drawn instead, and all images are in the gallery.
    """

    card = DatasetCard(
        name="llcm",
        title="LLCM",
        kind="person",
        paper=(
            "Zhang, Wang: Diverse Embedding Expansion Network and Low-Light Cross-Modality Benchmark for "
            "Visible-Infrared Person Re-identification, CVPR 2023"
        ),
        bibtex="""@inproceedings{zhang2023llcm,
  author    = {Zhang, Yukang and Wang, Hanzi},
  title     = {Diverse Embedding Expansion Network and Low-Light Cross-Modality Benchmark for
               Visible-Infrared Person Re-identification},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year      = {2023}
}""",
        licence="for research, by an agreement that is to be signed",
        image_size=(384, 144),
        cameras=9,
        exclusion=Exclusion.CAMERA,
        counts=SplitCounts(30921, 713, 15846, 351, 15846, 351),
        layout="LLCM/{vis,nir}/PERSON/*.jpg, LLCM/test_{vis,nir}/cam{1..9}/PERSON/*.jpg and LLCM/idx/*.txt",
        sensors=Modality.R | Modality.N,
        complete=False,
        default_protocols=("N-to-R", "R-to-N"),
        cmc="identities",
        metrics=("rank1", "rank10", "rank20", "mAP", "mINP"),
        modes={"": "single-shot gallery, draws agw", "transposed": "single-shot queries, draws agw, whole gallery"},
    )
    roles: ClassVar = {"vis": Role.TRAIN, "nir": Role.TRAIN, "test_vis": _TEST, "test_nir": _TEST}
    sensors: ClassVar = {"vis": Modality.R, "nir": Modality.N}
    grammar = re.compile(
        r"(?P<file>(?P<role>(?P<test>test_)?(?P<sensor>vis|nir))/"
        r"(?(test)cam(?P<camera>[1-9])/)(?P<identity>[0-9]{4})/(?P<name>[^/\n]+)\.jpg)"
    )
    form = "{vis,nir}/IIII/IIII_cCC_*.jpg or test_{vis,nir}/camC/IIII/*.jpg with C 1-9"

    def folders(self) -> tuple[str, ...]:
        """Return the four folders of images and that of the lists."""
        return (*self.roles, "idx")

    def item(self, match: re.Match[str]) -> str:
        """Return the path: no two images show the same moment."""
        return match[0]

    def labels(self, match: re.Match[str]) -> tuple[int, int, int]:
        """Return person, camera from 0, and no scene.

        Raises:
            ValueError: when the name of a training image tells no camera.
        """
        camera = match["camera"] or next(iter(_CAMERA.findall(match["name"])), None)
        if camera is None:
            raise ValueError("name without a camera from 1 to 9")
        return int(match["identity"]), int(camera) - 1, 0

    def assignment(self, folder: Path, split: str | None) -> Assignment:
        """Return what the lists say of an image, or of the person in it; nothing of those in none of them."""
        train = self.named(folder, split)
        test = read_numbers(folder / "idx" / "test_id.txt")

        def role(match: re.Match[str]) -> Role:
            listed = int(match["identity"]) in test if match["test"] else match[0] in train
            return self.roles[match["role"]] if listed else Role(0)

        return role

    def named(self, folder: Path, split: str | None) -> Mapping[str, str]:
        """Return the training images that the two lists name."""
        return {
            line.rpartition(" ")[0]: f"idx/train_{sensor}.txt"
            for sensor in self.sensors
            for _, line in read_lines(folder / "idx" / f"train_{sensor}.txt")
        }

    def trials(self, items: Items, setting: Setting) -> tuple[Trial, ...]:
        """Return ten trials, each with another gallery or, transposed, with other queries."""
        (whole,) = super().trials(items, setting)
        if setting.mode == "transposed":
            return tuple(whole.keeping(query=released_draw(items, whole.query, n, 1)) for n in range(TRIALS))
        return tuple(whole.keeping(gallery=released_draw(items, whole.gallery, n, 1)) for n in range(TRIALS))

    def plan(self, scale: Scale) -> list[PlannedFrame]:
        """Return what synthetic LLCM consists of."""
        return plans.llcm(scale)

    def lists(self, scale: Scale) -> Mapping[str, str]:
        """Return the three lists of synthetic LLCM."""
        return plans.llcm_lists(scale)
