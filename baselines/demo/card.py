"""What DeMo declares: its options, and its settings by preset and dataset (docs/methods/demo.md)."""

from typing import Any, Literal

from pydantic import Field

from baselines.top_reid.card import Supervision
from mdreid_bench.config.resolve import Recipes
from mdreid_bench.config.sources import Cited
from mdreid_bench.models.card import GREY, MethodCard, Options

Feature = Literal["both", "ori", "moe"]


class DeMoOptions(Options):
    """Options of DeMo."""

    supervision: Supervision = Field(
        default="joint", description="of the pooled features: joint (one loss on all sensors) or separate"
    )
    heads: int = Field(default=4, gt=0, description="parts of a decoupled feature that have experts of their own")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="of the attention of the readers, in training")
    identity_weight: float = Field(default=0.25, ge=0, description="weight of each identity loss")
    feature: Feature = Field(
        default="both", description="vectors that are compared: pooled features (ori), outputs of experts (moe), both"
    )
    missing: Literal["zero_image", "left_out"] = Field(
        default="zero_image",
        description="what an absent sensor contributes: the constants that a mid-grey image gives, or nothing",
    )


_CODE, _CONFIGURED = "released code", "released configuration"
_COMMON = {
    "dropout": Cited(0.1, _CODE),
    "identity_weight": Cited(0.25, _CODE),
    "feature": Cited("both", _CODE),
    "missing": Cited("zero_image", _CODE),
}


def _options(supervision: Supervision, heads: int) -> dict[str, Any]:
    return {"supervision": Cited(supervision, _CONFIGURED), "heads": Cited(heads, _CONFIGURED)}


def _schedule(size: int, instances: int, epochs: int, warmup: int) -> dict[str, Any]:
    return {
        "batch": {"size": Cited(size, _CONFIGURED), "instances": Cited(instances, _CONFIGURED)},
        "schedule": {"epochs": Cited(epochs, _CONFIGURED), "warmup": Cited(warmup, _CONFIGURED)},
    }


_BY_DATASET = {name: _options("separate", 8) for name in ("rgbnt100", "msvr310")} | {"rgbnt201": _options("joint", 4)}
_FULL = {
    "rgbnt201": _schedule(64, 8, 50, 10),
    "rgbnt100": _schedule(128, 16, 30, 5),
    "msvr310": _schedule(64, 4, 50, 10),
}

RECIPES: Recipes = {
    "paper": {
        "*": {"seed": Cited(1111, _CONFIGURED), "options": _COMMON},
        **{name: _FULL[name] | {"options": options} for name, options in _BY_DATASET.items()},
    },
    **{
        preset: {"*": {"options": _COMMON}, **{name: {"options": options} for name, options in _BY_DATASET.items()}}
        for preset in ("small", "tiny")
    },
}

CARD = MethodCard(
    name="demo",
    title="DeMo",
    paper="DeMo: Decoupled Feature-Based Mixture of Experts for Multi-Modal Object Re-Identification",
    venue="AAAI 2025",
    url="https://arxiv.org/abs/2412.10650",
    summary="learnt queries read every subset of the sensors; experts weigh what they read by attention",
    target="baselines.demo.method:DeMo",
    options_model=DeMoOptions,
    recipes=RECIPES,
    evaluation_options=frozenset({"feature", "missing"}),
    derived_from={"feature": "both"},
    unpaired=True,
    partial=f"{GREY}, and is left out of the terms of single sensors",
)
