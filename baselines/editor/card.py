"""What EDITOR declares: its options, and its settings by preset and dataset (docs/methods/editor.md)."""

from typing import Literal

from pydantic import Field

from baselines.top_reid.card import TRUNK, Supervision
from mdreid_bench.config.resolve import Recipes
from mdreid_bench.config.sources import Cited
from mdreid_bench.models.card import GREY, MethodCard, Options

Ties = Literal["first", "all"]
"""What is kept of patches that tie for the last place: those of the lowest index, or all of them."""


class EDITOROptions(Options):
    """Options of EDITOR; what no source states is marked so."""

    supervision: Supervision = Field(
        default="joint", description="of the trunk's class vectors: joint (AL, better for persons) or separate (BL)"
    )
    head_keep: int = Field(default=2, gt=0, description="patches kept for each attention head")
    frequency_keep: int = Field(default=10, gt=0, description="patches kept for their brightness")
    ties: Ties = Field(default="first", description="which of equal patches are kept: first or all (not stated)")
    missing: Literal["zero_image", "zero_feature"] = Field(
        default="zero_image", description="what stands in for a missing sensor (not stated)"
    )
    drop_path: float = Field(default=0.1, ge=0, lt=1, description="stochastic depth of the last block")
    background_weight: float = Field(default=1.0, ge=0, description="weight of BCC")
    object_weight: float = Field(default=1.0, ge=0, description="weight of OCFR")


_RELEASED = "released configuration"

_PAPER = {
    "seed": Cited(1111, _RELEASED),
    "trunk": TRUNK,
    "batch": {"size": Cited(128, _RELEASED), "instances": Cited(16, _RELEASED)},
    "optimizer": {
        "name": Cited("sgd", _RELEASED),
        "lr": Cited(1.0e-3, _RELEASED),
        "trunk_lr": Cited(None, _RELEASED),
        "bias_factor": Cited(2.0, _RELEASED),
        "weight_decay": Cited(1.0e-4, _RELEASED),
        "momentum": Cited(0.9, _RELEASED),
    },
    "schedule": {
        "epochs": Cited(70, _RELEASED),
        "warmup": Cited(10, _RELEASED),
        "warmup_factor": Cited(0.01, _RELEASED),
        "noise": Cited(0.0, "released code has none"),
    },
}
_COMMON = {
    "ties": Cited("first", "the suite's; no source says what happens to equal patches"),
    "missing": Cited("zero_image", "the suite's; no source says what stands in for a missing sensor"),
    "drop_path": Cited(0.1, "released code"),
    "background_weight": Cited(1.0, "released code"),
    "object_weight": Cited(1.0, "released code"),
}
_KEEP = {"head_keep": Cited(2, _RELEASED), "frequency_keep": Cited(10, _RELEASED)}
_QUARTER = "a quarter of the released value, as the preset's images have a quarter of the patches; at least 1"
_QUARTER_KEEP = {"head_keep": Cited(1, _QUARTER), "frequency_keep": Cited(3, _QUARTER)}
_JOINT, _SEPARATE = ({"options": {"supervision": Cited(kind, _RELEASED)}} for kind in ("joint", "separate"))
_VEHICLES_310 = {"schedule": {"epochs": Cited(1000, _RELEASED), "warmup": Cited(100, _RELEASED)}}
_BY_DATASET = {"rgbnt201": _JOINT, "rgbnt100": _SEPARATE, "msvr310": _SEPARATE}

RECIPES: Recipes = {
    "paper": {"*": _PAPER | {"options": _COMMON | _KEEP}, **_BY_DATASET, "msvr310": _VEHICLES_310 | _SEPARATE},
    **{preset: {"*": {"options": _COMMON | _QUARTER_KEEP}, **_BY_DATASET} for preset in ("small", "tiny")},
}

CARD = MethodCard(
    name="editor",
    title="EDITOR",
    paper="Magic Tokens: Select Diverse Tokens for Multi-modal Object Re-Identification",
    venue="CVPR 2024",
    url="https://arxiv.org/abs/2403.10254",
    summary="selects object-centric tokens by attention and brightness and aggregates only those",
    target="baselines.editor.method:EDITOR",
    options_model=EDITOROptions,
    recipes=RECIPES,
    unpaired=True,
    partial=f"{GREY}, and is left out of the terms of single sensors",
    evaluation_options=frozenset({"missing"}),
)
