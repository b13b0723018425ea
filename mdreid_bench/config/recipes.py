"""Settings that the CLIP-based methods of the MDReID paper share, by preset and dataset."""

from mdreid_bench.config.resolve import Recipes

# Released configurations of MDReID; the paper states 3.5e-4 for all datasets and no seed.
CLIP_RECIPES: Recipes = {
    "paper": {
        "rgbnt201": {"seed": 1555, "batch": {"instances": 8}, "optimizer": {"lr": 3.5e-4}},
        "rgbnt100": {"seed": 1111, "batch": {"instances": 8}, "optimizer": {"lr": 1.5e-4}},
        "msvr310": {"seed": 1111, "batch": {"instances": 4}, "optimizer": {"lr": 3.5e-4}},
    }
}
