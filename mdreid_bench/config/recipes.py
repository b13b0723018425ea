"""The recipes of MDReID and of the single classifier, by preset and dataset."""

from collections.abc import Mapping
from typing import Any

from mdreid_bench.config.resolve import Recipes
from mdreid_bench.config.sources import Cited

_STATED = "paper, and released configuration"
_SEED = "released configuration; the paper names no seed"
_INSTANCES = "released configuration; the paper does not say"

CLIP_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "rgbnt201": {
        "seed": Cited(1555, _SEED),
        "batch": {"instances": Cited(8, _INSTANCES)},
        "optimizer": {"lr": Cited(3.5e-4, _STATED)},
    },
    "rgbnt100": {
        "seed": Cited(1111, _SEED),
        "batch": {"instances": Cited(8, _INSTANCES)},
        "optimizer": {"lr": Cited(1.5e-4, "released configuration; the paper states 3.5e-4 for all datasets")},
    },
    "msvr310": {
        "seed": Cited(1111, _SEED),
        "batch": {"instances": Cited(4, _INSTANCES)},
        "optimizer": {"lr": Cited(3.5e-4, _STATED)},
    },
}
"""As in the released configurations of MDReID, by dataset."""

_MDREID_OPTIONS = {
    "mdl": Cited(True, "paper: row 5 of the ablation"),
    "orthogonality_weight": Cited(1.5, "paper"),
    "discrepancy_weight": Cited(5.25, "paper"),
    "rol": Cited("released", "released code; the paper's form is larger by a factor of about 36"),
    "tie_shared_token": Cited(True, "released code; the paper speaks of two tokens"),
    "similarity": Cited("paper", "paper, Eq. 6-10; the released code compares concatenations"),
    "components": Cited("both", "paper"),
    "identity_weight": Cited(0.25, "released code; the paper has no such factor"),
    "shared_weight": Cited(3.0, "released code; the paper has no such factor"),
}
MDREID_RECIPES: Recipes = {
    "paper": {"*": {"options": _MDREID_OPTIONS}, **CLIP_SETTINGS},
    "tiny": {"*": {"options": _MDREID_OPTIONS}},
}

_NOT_STATED = "settings of MDReID; no source has any for the single classifier"
_SINGLE_OPTIONS = {
    "missing": Cited("zero_image", "released code of MDReID"),
    "identity_weight": Cited(0.25, "released code of MDReID; the paper has no such factor"),
}


def _borrowed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with a note that they are another method's."""
    return {
        key: Cited(value.value, _NOT_STATED) if isinstance(value, Cited) else _borrowed(value)
        for key, value in settings.items()
    }


SINGLE_CLASSIFIER_RECIPES: Recipes = {
    "paper": {"*": {"options": _SINGLE_OPTIONS}, **{name: _borrowed(s) for name, s in CLIP_SETTINGS.items()}},
    "tiny": {"*": {"options": _SINGLE_OPTIONS}},
}
