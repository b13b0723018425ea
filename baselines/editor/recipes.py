"""Settings of EDITOR by preset and dataset (docs/methods/editor.md, "Recipe")."""

from mdreid_bench.config.resolve import Recipes
from mdreid_bench.config.sources import Cited

_RELEASED = "released configuration"

_PAPER = {
    "seed": Cited(1111, _RELEASED),
    "trunk": {
        "name": Cited(
            "ViT-B-16-quickgelu",
            "the suite's, so that one file of weights serves all methods; the paper has an ImageNet ViT-B/16, which "
            "is vit-b-16-imagenet with trunk.pretrained=FILE",
        )
    },
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
    "missing": Cited("zero_image", "the suite's; no source says what stands in for a missing modality"),
    "drop_path": Cited(0.1, "released code"),
    "background_weight": Cited(1.0, "released code"),
    "object_weight": Cited(1.0, "released code"),
}
_KEEP = {"head_keep": Cited(2, _RELEASED), "frequency_keep": Cited(10, _RELEASED)}
_QUARTER = "a quarter of the released value, as the preset's images have a quarter of the patches; at least 1"
_TINY_KEEP = {"head_keep": Cited(1, _QUARTER), "frequency_keep": Cited(3, _QUARTER)}
_JOINT = {"options": {"supervision": Cited("joint", "released configuration")}}
_SEPARATE = {"options": {"supervision": Cited("separate", "released configuration")}}

RECIPES: Recipes = {
    "paper": {
        "*": _PAPER | {"options": _COMMON | _KEEP},
        "rgbnt201": _JOINT,
        "rgbnt100": _SEPARATE,
        "msvr310": {"schedule": {"epochs": Cited(1000, _RELEASED), "warmup": Cited(100, _RELEASED)}} | _SEPARATE,
    },
    "tiny": {
        "*": {"options": _COMMON | _TINY_KEEP},
        "rgbnt201": _JOINT,
        "rgbnt100": _SEPARATE,
        "msvr310": _SEPARATE,
    },
}
