"""RGBNT100: vehicles, eight cameras, one strip of three images per item."""

import re
from typing import ClassVar

from mdreid_bench.data.card import DatasetCard, SplitCounts
from mdreid_bench.data.dataset import Dataset
from mdreid_bench.data.items import Role
from mdreid_bench.data.synthetic import plans
from mdreid_bench.data.synthetic.plan import PlannedFrame, Scale
from protocols.exclusion import Exclusion


class RGBNT100(Dataset):
    """``0561_c0001_006.jpg``: identity 1-600, camera 1-8, frame; a strip holds RGB, NIR and TIR side by side."""

    card = DatasetCard(
        name="rgbnt100",
        title="RGBNT100",
        kind="vehicle",
        paper="Li, Li, Zhu, Zheng, Luo: Multi-Spectral Vehicle Re-Identification: A Challenge, AAAI 2020",
        bibtex="""@inproceedings{li2020rgbnt100,
  author    = {Li, Hongchao and Li, Chenglong and Zhu, Xianpeng and Zheng, Aihua and Luo, Bin},
  title     = {Multi-Spectral Vehicle Re-Identification: A Challenge},
  booktitle = {AAAI Conference on Artificial Intelligence},
  year      = {2020}
}""",
        licence="no licence is stated; the images are obtained from their authors",
        image_size=(128, 256),
        cameras=8,
        exclusion=Exclusion.CAMERA,
        counts=SplitCounts(8675, 50, 1715, 50, 8575, 50),
        layout="RGBNT100/rgbir/{bounding_box_train,query,bounding_box_test}/*.jpg (strips of 768x128 pixels)",
    )
    roles: ClassVar = {
        "rgbir/bounding_box_train": Role.TRAIN,
        "rgbir/query": Role.QUERY,
        "rgbir/bounding_box_test": Role.GALLERY,
    }
    strip_size = (768, 128)
    grammar = re.compile(
        r"(?P<role>rgbir/(?:bounding_box_train|query|bounding_box_test))/"
        r"(?P<file>(?P<identity>[0-9]{4})_c(?P<camera>[0-9]{4})_[0-9]{3,4}\.jpg)"
    )
    form = "rgbir/{bounding_box_train,query,bounding_box_test}/IIII_cCCCC_FFF.jpg"

    def labels(self, match: re.Match[str]) -> tuple[int, int, int]:
        """Return identity, camera and scene 0.

        Raises:
            ValueError: for an identity outside 1-600 or a camera outside 1-8.
        """
        identity, camera = int(match["identity"]), int(match["camera"])
        if not 1 <= identity <= 600:
            raise ValueError("identity outside 1-600")
        if not 1 <= camera <= 8:
            raise ValueError("camera outside 1-8")
        return identity, camera - 1, 0

    def plan(self, scale: Scale) -> list[PlannedFrame]:
        """Return what synthetic RGBNT100 consists of."""
        return plans.rgbnt100(scale)
