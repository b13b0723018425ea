"""What MFRNet declares: its options, and its settings by preset and dataset (docs/methods/mfrnet.md)."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from baselines.top_reid.card import Supervision
from mdreid_bench.config.resolve import Recipes
from mdreid_bench.config.sources import Cited
from mdreid_bench.models.card import MethodCard, Options


class MFRNetOptions(Options):
    """Options of MFRNet; the defaults are the paper's intention, the preset ``released`` has the released code's."""

    supervision: Supervision = Field(
        default="joint", description="of the features: joint (one loss on all sensors) or separate (one for each)"
    )
    global_local: bool = Field(default=False, description="feature from class token and mean patch, not class alone")
    generators: int = Field(default=3, ge=2, description="experts of each of the two generators (FFM)")
    adapters: int = Field(default=6, ge=2, description="experts of the last block (FRM)")
    independent_experts: bool = Field(
        default=True, description="weights of its own for each expert; released: one set for all"
    )
    capacity: float | None = Field(
        default=None,
        gt=0,
        description="tokens an expert takes, in equal shares; null: all, so features do not depend on the batch",
    )
    expert_init: Literal["as_written", "zero"] = Field(
        default="as_written", description="start of the experts; zero is what loading CLIP does in the released code"
    )
    gate_noise: float = Field(
        default=1.0, ge=0, description="noise on the logits in training, divided by the experts"
    )
    dropout: float = Field(default=0.1, ge=0, lt=1, description="inside every expert, in training")
    identity_weight: float = Field(default=0.25, ge=0, description="weight of each identity loss")
    generator_balance: float = Field(default=0.12, ge=0, description="weight of the balance of each generator")
    adapter_balance: float = Field(default=0.01, ge=0, description="weight of the balance of the adapters")


def depends_on_batch(options: Mapping[str, Any]) -> bool:
    """Tell whether the features of an item depend on the others of its batch, which compete for the experts."""
    return options["capacity"] is not None


_CODE = "released code"
_COMMON = {
    "generators": Cited(3, _CODE),
    "adapters": Cited(6, "paper, and released code"),
    "gate_noise": Cited(1.0, _CODE),
    "dropout": Cited(0.1, _CODE),
    "identity_weight": Cited(0.25, _CODE),
    "generator_balance": Cited(0.12, "released code: 0.01, added once for each of 12 blocks"),
    "adapter_balance": Cited(0.01, _CODE),
}
_PAPERS_INTENTION = {
    "independent_experts": Cited(True, "paper: distinct experts; released code: one set of weights for all"),
    "capacity": Cited(None, "this suite: no token is dropped; released code: 1.0"),
    "expert_init": Cited("as_written", "this suite; released code: loading CLIP's weights leaves zeros"),
}
_RELEASED = {
    "independent_experts": Cited(False, _CODE),
    "capacity": Cited(1.0, _CODE),
    "expert_init": Cited("zero", "released code with tutel 0.3.1 or later"),
}
_CONFIGURED = "released configuration"
_BY_DATASET = {
    "rgbnt201": {"supervision": Cited("joint", _CONFIGURED), "global_local": Cited(False, _CONFIGURED)},
    "rgbnt100": {"supervision": Cited("separate", _CONFIGURED), "global_local": Cited(True, _CONFIGURED)},
    "msvr310": {"supervision": Cited("separate", _CONFIGURED), "global_local": Cited(False, _CONFIGURED)},
}


def _schedule(instances: int, epochs: int, warmup: int) -> dict[str, Any]:
    return {
        "batch": {"size": Cited(64, _CONFIGURED), "instances": Cited(instances, _CONFIGURED)},
        "schedule": {"epochs": Cited(epochs, _CONFIGURED), "warmup": Cited(warmup, _CONFIGURED)},
    }


_FULL = {"rgbnt201": _schedule(8, 45, 10), "rgbnt100": _schedule(16, 45, 5), "msvr310": _schedule(4, 50, 10)}
_TEST_BATCH = {"evaluation": {"batch_size": Cited(64, "released configuration; features depend on it")}}

RECIPES: Recipes = {
    "paper": {
        "*": {"seed": Cited(1111, _CONFIGURED), "options": _COMMON | _PAPERS_INTENTION},
        **{name: _FULL[name] | {"options": options} for name, options in _BY_DATASET.items()},
    },
    "released": {"*": {"options": _RELEASED}, "msvr310": _TEST_BATCH},
    **{
        preset: {
            "*": {"options": _COMMON | _PAPERS_INTENTION},
            **{name: {"options": options} for name, options in _BY_DATASET.items()},
        }
        for preset in ("small", "tiny")
    },
}

CARD = MethodCard(
    name="mfrnet",
    title="MFRNet",
    paper="Multi-Modal Object Re-Identification via Sparse Mixture-of-Experts",
    venue="ICML 2025",
    url="https://github.com/stone96123/MFRNet",
    summary="sparse experts generate the tokens of other sensors before the trunk and adapt those of its last block",
    target="baselines.mfrnet.method:MFRNet",
    options_model=MFRNetOptions,
    recipes=RECIPES,
    unpaired=True,
    partial="tokens generated from the sensors that are there stand in",
    batch_dependent=depends_on_batch,
)
