"""What MUN declares: its options, its settings by preset, and which sensors it compares (docs/methods/mun.md)."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from mdreid_bench.config.resolve import Recipes
from mdreid_bench.config.sources import Cited
from mdreid_bench.models.card import MethodCard, Options
from protocols.modality import Modality

Border = Literal["stem", "layer1"]
Prototypes = Literal["slots", "identities", "none"]
Supervision = Literal["both", "own"]
Statistics = Literal["common", "apart"]


class MUNOptions(Options):
    """Options of MUN; the defaults are the full method."""

    pair: str | None = Field(
        default=None, description="the two sensors that are compared, such as RT; null takes the dataset's first two"
    )
    border: Border = Field(default="layer1", description="last part of the trunk that each sensor has for itself")
    auxiliary: bool = Field(default=True, description="generate the auxiliary modality in training; else baseline")
    statistics: Statistics = Field(
        default="common",
        description="batch statistics of the shared layers: of all modalities in common, or the auxiliary one apart",
    )
    dense_upsampling: bool = Field(default=True, description="let upsampling mix channels, not treat each by itself")
    scale_init: float = Field(default=1.0, gt=0, le=1, description="first value of the scale of both learners")
    exponent: float = Field(default=3.0, gt=0, description="of the generalised mean that pools the last map")
    neck: bool = Field(default=True, description="batch normalisation before classifiers and retrieval")
    smoothing: float = Field(default=0.0, ge=0, lt=1, description="label smoothing of the identity losses")
    triplet_margin: float = Field(default=0.3, ge=0, description="margin of the triplet loss")
    auxiliary_identity: Supervision = Field(
        default="both",
        description="identity loss of the auxiliary modality: both classifiers, or one of its own of weight 1",
    )
    consistency_weight: float = Field(default=0.25, ge=0, description="weight of the identity consistency loss")
    alignment_weight: float = Field(default=0.5, ge=0, description="weight of the identity alignment loss; 0 is off")
    alignment_margin: float = Field(default=0.55, ge=0, description="alpha, margin of the identity alignment loss")
    hinge: bool = Field(default=True, description="let the identity alignment loss end at 0 for each identity")
    modality_weight: float = Field(default=0.008, ge=0, description="weight of the modality alignment loss; 0 is off")
    prototypes: Prototypes = Field(
        default="slots", description="what a moving prototype belongs to: a place in the batch, an identity, none"
    )
    bridge: bool = Field(default=True, description="align both sensors with the auxiliary modality, not each other")

    @field_validator("pair")
    @classmethod
    def _two(cls, value: str | None) -> str | None:
        if value is not None and len(Modality.parse(value)) != 2:
            raise ValueError("it must name two sensors, such as RT")
        return value if value is None else str(Modality.parse(value))


def compared(pair: str | None, sensors: Modality) -> Modality:
    """Return the two sensors that are compared, of those that a dataset has."""
    first = list(sensors)[:2]
    return Modality.parse(pair) if pair else Modality(sum(m.value for m in first))


def unserved(subset: Modality, options: Mapping[str, Any], sensors: Modality) -> str | None:
    """Refuse several sensors at once, and those that are not of the pair."""
    pair = compared(options.get("pair"), sensors)
    absent = [str(m) for m in pair if m not in sensors]
    if absent:
        return f"MUN is to compare {pair}, and there is no {' and no '.join(absent)}"
    if len(subset) == 1 and subset in pair:
        return None
    return f"MUN compares images of one sensor with those of another, here of {pair} (options.pair)"


_STATED, _SUITE = "paper", "this suite; the paper does not say"
_BASE = "released code of AGW, the paper's baseline; the paper does not say"
_CAJ = "released code of CAJ, whose augmentation the paper takes"
_OPTIONS = {
    "pair": Cited(None, "paper: visible and infrared, all that there is"),
    "border": Cited("layer1", "this suite: the paper speaks of two independent blocks, AGW has the stem alone"),
    "auxiliary": Cited(True, _STATED),
    "statistics": Cited("common", _SUITE),
    "dense_upsampling": Cited(True, _SUITE),
    "scale_init": Cited(1.0, _SUITE),
    "exponent": Cited(3.0, _BASE),
    "neck": Cited(True, _BASE),
    "smoothing": Cited(0.0, "paper: none is mentioned"),
    "triplet_margin": Cited(0.3, _BASE),
    "auxiliary_identity": Cited("both", _STATED),
    "consistency_weight": Cited(0.25, _STATED),
    "alignment_weight": Cited(0.5, _STATED),
    "alignment_margin": Cited(0.55, _STATED),
    "hinge": Cited(True, "this suite: none is printed, but without it the margin has no meaning"),
    "modality_weight": Cited(0.008, _STATED),
    "prototypes": Cited("slots", "paper, as printed"),
    "bridge": Cited(True, _STATED),
}
_AUGMENT = {
    "erase": Cited(0.5, _CAJ),
    "erase_aspect": Cited([0.3, 3.3], _CAJ),
    "erase_fill": Cited([0.4914, 0.4822, 0.4465], _CAJ),
    "channels": Cited(True, "paper: the channel augmentation of CAJ"),
}
_OPTIMIZER = {
    "name": Cited("adamw", _STATED),
    "weight_decay": Cited(0.01, _STATED),
    "bias_factor": Cited(1.0, "paper: one rate"),
}
_PAPER = {
    "trunk": {
        "name": Cited("resnet50", _STATED),
        "pretrained": Cited("imagenet1k_v1", "paper: ImageNet; the file is torchvision's first, as in AGW"),
    },
    "image": {"size": Cited([288, 144], _STATED)},
    "augment": {"pad": Cited(10, _CAJ), "erase_area": Cited([0.02, 0.4], _CAJ), **_AUGMENT},
    "batch": {"size": Cited(32, _BASE), "instances": Cited(4, _BASE)},
    "optimizer": {"lr": Cited(2e-3, _STATED), "trunk_lr": Cited(None, "paper: one rate"), **_OPTIMIZER},
    "schedule": {
        "epochs": Cited(90, _STATED),
        "warmup": Cited(15, _STATED),
        "warmup_factor": Cited(5e-6, "paper: from 1e-8 to 0.002"),
        "milestones": Cited([30, 60], _STATED),
        "noise": Cited(0.0, "paper: none is mentioned"),
    },
    "options": _OPTIONS,
}
_SMALL = {
    "trunk": {
        "name": Cited("mdreid-resnet-tiny", "this suite: a ResNet of one block a layer"),
        "pretrained": Cited("synthetic", "this suite: the weights shipped with the package"),
    },
    "image": {"size": Cited([96, 48], "this suite: a third of 288 x 144")},
    "augment": _AUGMENT,
    "optimizer": {"trunk_lr": Cited(None, "paper: one rate"), **_OPTIMIZER},
    "schedule": {
        "epochs": Cited(12, "this suite: the generator starts at random and needs longer than a classifier")
    },
    "options": _OPTIONS
    | {"statistics": Cited("apart", "this suite: in so few steps the random generator spoils the common statistics")},
}
RECIPES: Recipes = {"paper": {"*": _PAPER}, "small": {"*": _SMALL}, "tiny": {"*": _SMALL}}

CARD = MethodCard(
    name="mun",
    title="MUN",
    paper="Modality Unifying Network for Visible-Infrared Person Re-Identification",
    venue="ICCV 2023",
    url="https://arxiv.org/abs/2309.06262",
    summary="a third modality, made of two in training, brings their identities and distributions together",
    target="baselines.mun.method:MUN",
    options_model=MUNOptions,
    recipes=RECIPES,
    unpaired=True,
    unserved=unserved,
)
