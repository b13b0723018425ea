"""MSVR310: vehicles, eight views, scenes months apart, three files per item."""

import re
from typing import ClassVar

from mdreid_bench.data.card import DatasetCard, SplitCounts
from mdreid_bench.data.dataset import Dataset
from mdreid_bench.data.items import Role
from mdreid_bench.data.synthetic import plans
from mdreid_bench.data.synthetic.plan import PlannedFrame, Scale
from protocols.exclusion import Exclusion
from protocols.modality import Modality


class MSVR310(Dataset):
    """``0019_s012_v0_000.jpg``: identity, scene, view 0-7 (used as the camera), frame; one folder per identity."""

    card = DatasetCard(
        name="msvr310",
        title="MSVR310",
        kind="vehicle",
        paper=(
            "Zheng, Zhu, Ma, Li, Tang, Ma: Multi-spectral Vehicle Re-identification with Cross-directional "
            "Consistency Network and a High-quality Benchmark, Information Fusion 2023"
        ),
        bibtex="""@article{zheng2023msvr310,
  author  = {Zheng, Aihua and Zhu, Xianpeng and Ma, Zhiqi and Li, Chenglong and Tang, Jin and Ma, Jixin},
  title   = {Multi-spectral Vehicle Re-identification with Cross-directional Consistency Network
             and a High-quality Benchmark},
  journal = {Information Fusion},
  year    = {2023}
}""",
        licence="no licence is stated; the images are obtained from their authors",
        image_size=(128, 256),
        cameras=8,
        exclusion=Exclusion.SCENE,
        counts=SplitCounts(1032, 155, 591, 52, 1055, 155),
        layout="MSVR310/{bounding_box_train,query3,bounding_box_test}/IDENTITY/{vis,ni,th}/*.jpg",
    )
    roles: ClassVar = {"bounding_box_train": Role.TRAIN, "query3": Role.QUERY, "bounding_box_test": Role.GALLERY}
    sensors: ClassVar = {"vis": Modality.R, "ni": Modality.N, "th": Modality.T}
    grammar = re.compile(
        r"(?P<role>bounding_box_train|query3|bounding_box_test)/(?P<folder>[0-9]{4})/(?P<sensor>vis|ni|th)/"
        r"(?P<file>(?P<identity>[0-9]{4})_s(?P<scene>[0-9]{3})_v(?P<view>[0-7])_[0-9]{3,4}\.jpg)"
    )
    form = "{bounding_box_train,query3,bounding_box_test}/IIII/{vis,ni,th}/IIII_sSSS_vV_FFF.jpg with V 0-7"

    def labels(self, match: re.Match[str]) -> tuple[int, int, int]:
        """Return identity, view and scene.

        Raises:
            ValueError: when the file lies in the folder of another identity.
        """
        if match["folder"] != match["identity"]:
            raise ValueError("file in the folder of another identity")
        return int(match["identity"]), int(match["view"]), int(match["scene"])

    def plan(self, scale: Scale) -> list[PlannedFrame]:
        """Return what synthetic MSVR310 consists of."""
        return plans.msvr310(scale)
