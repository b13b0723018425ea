"""Checkpoints with the names and shapes of the released ones, filled with seeded random numbers.

The names and shapes in ``keys/*.json`` are facts about the published files; ``{n}`` stands for the number of a
transformer block, C for the number of identities, K for that of cameras.
"""

import json
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

KEYS = Path(__file__).parent / "keys"
FORMATS = ("mdreid", "top_reid", "editor", "mfrnet", "demo")
COUNTER = "num_batches_tracked"


def shapes(form: str, blocks: int = 2, identities: int = 7, cameras: int = 4) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of every tensor of a released checkpoint."""
    sizes = {"C": identities, "K": cameras}
    found: dict[str, tuple[int, ...]] = {}
    for name, sides in json.loads((KEYS / f"{form}.json").read_text(encoding="utf-8")).items():
        for block in range(blocks) if "{n}" in name else [0]:
            found[name.replace("{n}", str(block))] = tuple(sizes.get(side, side) for side in sides)
    return found


def random_state(
    form: str, blocks: int = 2, identities: int = 7, cameras: int = 4, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """Return a checkpoint; the gains of layer norms scatter around 1, everything else around 0.

    The tensors are shared by all who ask for the same, and must stay as they are.
    """
    return dict(_random_state(form, blocks, identities, cameras, dtype))


@lru_cache(maxsize=4)
def _random_state(form: str, blocks: int, identities: int, cameras: int, dtype: torch.dtype) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = {}
    for name, shape in shapes(form, blocks, identities, cameras).items():
        values = torch.randn(shape, generator=generator)
        gain = name.endswith("weight") and len(shape) == 1
        state[name] = torch.tensor(3) if name.endswith(COUNTER) else values.mul_(0.05).add_(gain).to(dtype)
    if form == "mdreid":
        state["BACKBONE.base.add_image_token"] = state["BACKBONE.base.class_embedding"].clone()
    return state


def empty_state(form: str, blocks: int = 2) -> dict[str, Tensor]:
    """Return a checkpoint that has shapes alone and takes no memory."""
    return {name: torch.empty(shape, device="meta") for name, shape in shapes(form, blocks).items()}
