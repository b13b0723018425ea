"""RGBNT201: persons, four cameras, three files per item."""

import re
from typing import ClassVar

from mdreid_bench.data.card import DatasetCard, SplitCounts
from mdreid_bench.data.dataset import Dataset
from mdreid_bench.data.items import Role
from mdreid_bench.data.synthetic import plans
from mdreid_bench.data.synthetic.plan import PlannedFrame, Scale
from protocols.exclusion import Exclusion
from protocols.modality import Modality


class RGBNT201(Dataset):
    """``000028_cam1_0_02.jpg``: identity, camera 1-4, a field 0 or 1 whose meaning is not published, frame.

    The field is kept as the scene, which this dataset's protocol does not use. Every test item is both query and
    gallery item; the rule on cameras removes the query itself.
    """

    card = DatasetCard(
        name="rgbnt201",
        title="RGBNT201",
        kind="person",
        paper="Zheng, Wang, Chen, Li, Tang: Robust Multi-Modality Person Re-identification, AAAI 2021",
        bibtex="""@inproceedings{zheng2021rgbnt201,
  author    = {Zheng, Aihua and Wang, Zi and Chen, Zihan and Li, Chenglong and Tang, Jin},
  title     = {Robust Multi-Modality Person Re-identification},
  booktitle = {AAAI Conference on Artificial Intelligence},
  year      = {2021}
}""",
        licence="no licence is stated; the images are obtained from their authors",
        image_size=(256, 128),
        cameras=4,
        exclusion=Exclusion.CAMERA,
        counts=SplitCounts(3951, 171, 836, 30, 836, 30),
        layout="RGBNT201/{train_171,test}/{RGB,NI,TI}/*.jpg",
    )
    roles: ClassVar = {"train_171": Role.TRAIN, "test": Role.QUERY | Role.GALLERY}
    sensors: ClassVar = {"RGB": Modality.R, "NI": Modality.N, "TI": Modality.T}
    grammar = re.compile(
        r"(?P<role>train_171|test)/(?P<sensor>RGB|NI|TI)/"
        r"(?P<file>(?P<identity>[0-9]{6})_cam(?P<camera>[1-4])_(?P<field>[01])_[0-9]{2,4}\.jpg)"
    )
    form = "{train_171,test}/{RGB,NI,TI}/IIIIII_camC_S_FF.jpg with C 1-4 and S 0 or 1"

    def folders(self) -> tuple[str, ...]:
        """Return the six folders of images."""
        return tuple(f"{split}/{sensor}" for split in self.roles for sensor in self.sensors)

    def labels(self, match: re.Match[str]) -> tuple[int, int, int]:
        """Return identity, camera and the unnamed field."""
        return int(match["identity"]), int(match["camera"]) - 1, int(match["field"])

    def plan(self, scale: Scale) -> list[PlannedFrame]:
        """Return what synthetic RGBNT201 consists of."""
        return plans.rgbnt201(scale)
