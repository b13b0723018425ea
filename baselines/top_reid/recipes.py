"""Settings of TOP-ReID by preset and dataset (docs/methods/top-reid.md, "Recipe")."""

from mdreid_bench.config.resolve import Recipes
from mdreid_bench.config.sources import Cited

_STATED = "paper, and released configuration"
_RELEASED = "released configuration; the paper does not say"

_PAPER = {
    "seed": Cited(1111, _RELEASED),
    "trunk": {
        "name": Cited(
            "ViT-B-16-quickgelu",
            "the suite's, so that one file of weights serves all methods; the paper has an ImageNet ViT-B/16, which "
            "is vit-b-16-imagenet with trunk.pretrained=FILE",
        )
    },
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
_TINY_SIZE = Cited([128, 64], "the paper's shape at the preset's scale, for vehicles too")

RECIPES: Recipes = {
    "paper": {
        "*": _PAPER | {"options": _COMMON},
        "rgbnt201": _JOINT,
        "rgbnt100": _SEPARATE,
        "msvr310": _VEHICLES_310 | _SEPARATE,
    },
    "tiny": {
        "*": {"image": {"size": _TINY_SIZE}, "options": _COMMON},
        "rgbnt201": _JOINT,
        "rgbnt100": _SEPARATE,
        "msvr310": _SEPARATE,
    },
}
