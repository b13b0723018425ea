"""What TOP-ReID declares: its options, and its settings by preset and dataset (docs/methods/top-reid.md)."""

from typing import Literal

from pydantic import Field

from mdreid_bench.config.resolve import Recipes
from mdreid_bench.config.sources import Cited
from mdreid_bench.models.card import MethodCard, Options

Supervision = Literal["joint", "separate"]
"""What TOP-ReID and EDITOR call AL (one loss on the concatenation) and BL (one loss for each modality)."""

TRUNK = {
    "name": Cited(
        "ViT-B-16-quickgelu",
        "the suite's, so that one file of weights serves all methods; the paper has an ImageNet ViT-B/16, which is "
        "vit-b-16-imagenet with trunk.pretrained=FILE",
    )
}
"""Of both methods in the preset ``paper``."""


class TOPReIDOptions(Options):
    """Options of TOP-ReID."""

    supervision: Supervision = Field(
        default="joint", description="of the trunks' class vectors: joint (AL, better for persons) or separate (BL)"
    )
    drop_path: float = Field(default=0.1, ge=0, lt=1, description="stochastic depth of the last block")
    reconstruction_weight: float = Field(default=1.0, ge=0, description="weight of the reconstruction loss")


_STATED = "paper, and released configuration"
_RELEASED = "released configuration; the paper does not say"

_PAPER = {
    "seed": Cited(1111, _RELEASED),
    "trunk": TRUNK,
    "image": {"size": Cited([256, 128], "paper, and released configuration; for vehicles too")},
    "batch": {"size": Cited(128, _STATED), "instances": Cited(16, _STATED)},
    "optimizer": {
        "name": Cited("sgd", _STATED),
        "lr": Cited(9.0e-3, _STATED),
        "trunk_lr": Cited(None, _RELEASED),
        "bias_factor": Cited(2.0, _RELEASED),
        "weight_decay": Cited(1.0e-4, _RELEASED),
        "momentum": Cited(0.9, _RELEASED),
    },
    "schedule": {
        "epochs": Cited(120, _RELEASED),
        "warmup": Cited(10, _RELEASED),
        "warmup_factor": Cited(0.01, _RELEASED),
        "noise": Cited(0.0, "released code has none"),
    },
}
_VEHICLES_310 = {
    "optimizer": {"lr": Cited(1.0e-3, "released configuration; the paper states 0.009 for all datasets")},
    "schedule": {"epochs": Cited(1000, _RELEASED), "warmup": Cited(100, _RELEASED)},
}
_COMMON = {"drop_path": Cited(0.1, "released code"), "reconstruction_weight": Cited(1.0, _STATED)}
_JOINT = {"options": {"supervision": Cited("joint", "paper and released configuration: better for persons")}}
_SEPARATE = {"options": {"supervision": Cited("separate", "paper and released configuration: better for vehicles")}}
_HALF_SIZE = Cited([128, 64], "the paper's shape at the preset's scale, for vehicles too")

_BY_DATASET = {"rgbnt201": _JOINT, "rgbnt100": _SEPARATE, "msvr310": _SEPARATE}

RECIPES: Recipes = {
    "paper": {"*": _PAPER | {"options": _COMMON}, **_BY_DATASET, "msvr310": _VEHICLES_310 | _SEPARATE},
    **{
        preset: {"*": {"image": {"size": _HALF_SIZE}, "options": _COMMON}, **_BY_DATASET}
        for preset in ("small", "tiny")
    },
}

CARD = MethodCard(
    name="top-reid",
    title="TOP-ReID",
    paper="TOP-ReID: Multi-spectral Object Re-Identification with Token Permutation",
    venue="AAAI 2024",
    url="https://arxiv.org/abs/2312.09612",
    summary="class tokens read the patches of all sensors; tokens of a missing sensor are predicted",
    target="baselines.top_reid.method:TOPReID",
    options_model=TOPReIDOptions,
    recipes=RECIPES,
    unpaired=True,
    partial="tokens predicted from the sensors that are there stand in",
)
