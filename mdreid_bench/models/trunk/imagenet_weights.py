"""ImageNet vision transformers in timm's naming, for the trunk ``vit-b-16-imagenet``."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from mdreid_bench.models.released_rows import BLOCK_LAYERS

_FINAL_NORM = "norm."
_LEFT_OUT = ("head.", "head_dist.", "fc.", "pre_logits.", "cls_token", "dist_token", "pos_embed", "patch_embed.proj.")
_NEEDED = frozenset(("cls_token", "pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias"))


def is_imagenet(names: Collection[str]) -> bool:
    """Say whether the names are those of a vision transformer of timm."""
    return _NEEDED.issubset(names)


def to_open_clip(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a state dict for an open_clip vision transformer without a norm before its blocks.

    open_clip's patch convolution has no bias. It is added to the rows of the position table that belong to patches,
    which gives the same tokens, also after the table is resized, because resizing keeps a constant. The output
    projection, which an ImageNet model lacks, becomes the identity; its classifiers are left out, and with them the
    token of a distilled model (DeiT) and its row of the position table.

    Args:
        state: in timm's naming, with a position table of (1, 1 + P, W), or (1, 2 + P, W) of a distilled model.
    """
    weight, bias = state["patch_embed.proj.weight"], state["patch_embed.proj.bias"]
    table = state["pos_embed"][0].clone()
    if "dist_token" in state:
        table = torch.cat([table[:1], table[2:]])
    table[1:] += bias
    renamed = {
        "class_embedding": state["cls_token"].flatten(),
        "positional_embedding": table,
        "conv1.weight": weight,
        "proj": torch.eye(len(weight), dtype=weight.dtype),
    }
    for name, value in state.items():
        if name.startswith("blocks."):
            renamed[_block_name(name)] = value
        elif name.startswith(_FINAL_NORM):
            renamed["ln_post." + name.removeprefix(_FINAL_NORM)] = value
        elif not name.startswith(_LEFT_OUT):
            renamed[name] = value  # unknown, so that strict loading names it
    return renamed


def _block_name(name: str) -> str:
    """Return open_clip's name of a parameter of a block, such as ``"transformer.resblocks.0.ln_1.weight"``."""
    for old, (new, _) in BLOCK_LAYERS.items():
        name = name.replace(f".{old}", f".{new}", 1)
    return f"transformer.res{name}"
