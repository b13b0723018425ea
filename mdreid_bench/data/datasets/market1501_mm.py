"""Market1501-MM: persons, six cameras, Market-1501 with near and thermal infrared made from its RGB images."""

import re
from pathlib import Path
from typing import ClassVar

from mdreid_bench.data.card import DatasetCard, SplitCounts
from mdreid_bench.data.dataset import Assignment, Dataset
from mdreid_bench.data.items import Role
from mdreid_bench.data.synthetic import adaptation_plans
from mdreid_bench.data.synthetic.plan import PlannedFrame, Scale
from protocols.exclusion import Exclusion
from protocols.modality import Modality

JUNK = "-1"
"""Identity of boxes that show nobody wholly, which are left out; those of identity 0 are persons and stay."""


class Market1501MM(Dataset):
    """``0002_c1s1_000451_03.jpg``: identity, camera 1-6, sequence (kept as the scene), frame, box."""

    card = DatasetCard(
        name="market1501-mm",
        title="Market1501-MM",
        kind="person",
        paper=(
            "Zheng, Shen, Tian, Wang, Wang, Tian: Scalable Person Re-identification: A Benchmark, ICCV 2015; "
            "infrared images: Wang, Li, Zheng, He, Tang: Interact, Embed, and EnlargE: Boosting Modality-specific "
            "Representations for Multi-modal Person Re-identification, AAAI 2022"
        ),
        bibtex="""@inproceedings{zheng2015market,
  author    = {Zheng, Liang and Shen, Liyue and Tian, Lu and Wang, Shengjin and Wang, Jingdong and Tian, Qi},
  title     = {Scalable Person Re-identification: A Benchmark},
  booktitle = {IEEE International Conference on Computer Vision},
  year      = {2015}
}
@inproceedings{wang2022interact,
  author    = {Wang, Zi and Li, Chenglong and Zheng, Aihua and He, Ran and Tang, Jin},
  title     = {Interact, Embed, and {EnlargE}: Boosting Modality-specific Representations for Multi-modal Person
               Re-identification},
  booktitle = {AAAI Conference on Artificial Intelligence},
  year      = {2022}
}""",
        licence="no licence is stated; the images are obtained from their authors",
        image_size=(256, 128),
        cameras=6,
        exclusion=Exclusion.CAMERA,
        counts=SplitCounts(12936, 751, 3368, 750, 15913, 751),
        layout="Market1501-MM/{train,query,gallery}/{RGB,NI,TI}/*.jpg",
        folders=("Market-1501-RGBNT",),
    )
    roles: ClassVar = {"train": Role.TRAIN, "query": Role.QUERY, "gallery": Role.GALLERY}
    sensors: ClassVar = {"RGB": Modality.R, "NI": Modality.N, "TI": Modality.T}
    grammar = re.compile(
        r"(?P<role>train|query|gallery)/(?P<sensor>RGB|NI|TI)/"
        r"(?P<file>(?P<identity>-1|[0-9]{4})_c(?P<camera>[1-6])s(?P<sequence>[0-9])_[0-9]{6}_[0-9]{2}\.jpg)"
    )
    form = "{train,query,gallery}/{RGB,NI,TI}/PPPP_cCsS_FFFFFF_NN.jpg with C 1-6, and PPPP may be -1"

    def labels(self, match: re.Match[str]) -> tuple[int, int, int]:
        """Return identity, camera and sequence."""
        return int(match["identity"]), int(match["camera"]) - 1, int(match["sequence"])

    def assignment(self, folder: Path, split: str | None) -> Assignment:
        """Return what tells the role of an image: its folder, or none for junk."""
        return lambda match: Role(0) if match["identity"] == JUNK else self.roles[match["role"]]

    def plan(self, scale: Scale) -> list[PlannedFrame]:
        """Return what synthetic Market1501-MM consists of."""
        return adaptation_plans.market1501_mm(scale)
