"""From preset, method recipe, file and command line to one complete configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from mdreid_bench.config import presets
from mdreid_bench.config.schema import LARGEST_SIDE, RunConfig
from mdreid_bench.config.sources import plain
from mdreid_bench.config.tree import Tree, merge, parse_assignments, text_keys, validate
from mdreid_bench.errors import UsageError

Recipes = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Preset name -> dataset name, or ``"*"`` for all -> configuration tree, whose values may be ``Cited``."""
PATCH = 16
"""Side in pixels of the patches of most vision transformers, which images are cut into without a rest."""
_TEXTS = frozenset(text_keys(RunConfig))


@dataclass(frozen=True)
class Overrides:
    """What the user set: the content of a file, ``--set`` assignments, and the shorthand flags, strongest last."""

    file: Tree = field(default_factory=dict)
    assignments: Sequence[str] = ()
    flags: Tree = field(default_factory=dict)

    def tree(self) -> Tree:
        """Return the three layers merged."""
        return merge(merge(self.file, parse_assignments(self.assignments, _TEXTS)), self.flags)


def scale_warmup(recipe: Tree, user: Tree) -> Tree:
    """Shorten the warm-up in proportion when the user sets the number of epochs but not the warm-up."""
    before, after = recipe["schedule"], user.get("schedule")
    if not isinstance(after, dict) or "warmup" in after or not isinstance(after.get("epochs"), int):
        return user
    warmup = before["warmup"] * after["epochs"] // before["epochs"]
    return merge(user, {"schedule": {"warmup": min(warmup, before["warmup"])}})


def _scaled(side: int, scale: float) -> int:
    """Return a scaled side in pixels: as near as can be, but for a multiple of a patch a multiple of it if any is."""
    patches = 0 if side % PATCH else round(side * scale / PATCH)
    return patches * PATCH or round(side * scale)


def resolve(
    method: str,
    options_model: type[BaseModel],
    recipes: Recipes,
    dataset: str,
    native_size: tuple[int, int],
    preset: str,
    overrides: Overrides,
) -> RunConfig:
    """Lay all layers over each other and fill in what depends on the dataset and the method.

    Args:
        options_model: the method's options, which fill and check ``options``.
        recipes: the method's own settings by preset and dataset.
        native_size: (height, width) that the dataset's papers train with, in pixels.
        overrides: what the user set; wins over everything else.

    Raises:
        UnknownNameError: for an unknown preset or key.
        UsageError: for a value out of range, or a scale that leaves no image.
    """
    tree = presets.load(preset)
    for own in (recipes.get(layer, {}) for layer in presets.lineage(preset)):
        for recipe in (own.get("*", {}), own.get(dataset, {})):
            tree = merge(tree, plain(recipe))
    user = overrides.tree()
    for key in ("method", "dataset", "preset", "sources"):
        if key in user:
            flag = key.removesuffix("s")
            raise UsageError(f"The configuration key {key!r} is set by --{flag}, not by --set or --config.")
    tree = merge(tree, scale_warmup(tree, user))
    tree |= {"method": method, "dataset": dataset, "preset": preset}
    options = validate(options_model, tree.get("options", {}), prefix="options.", owner=method)
    tree["options"] = options.model_dump(mode="json")
    config = validate(RunConfig, tree)
    if config.image.size is not None:
        return config
    height, width = (_scaled(side, config.image.scale) for side in native_size)
    if not 1 <= min(height, width) <= max(height, width) <= LARGEST_SIDE:
        raise UsageError(
            f"image.scale {config.image.scale:g} makes images of {height} x {width} pixels; give one that leaves at "
            f"least one pixel and at most {LARGEST_SIDE} on a side, or image.size."
        )
    return config.model_copy(update={"image": config.image.model_copy(update={"size": (height, width)})})
