"""ImageNet vision transformers in timm's naming, for the trunk ``vit-b-16-imagenet``."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mdreid_bench.models.released_rows import BLOCK_LAYERS

_FINAL_NORM = "norm."
_CLASSIFIERS = ("head.", "fc.", "pre_logits.")


def is_imagenet(state: Mapping[str, Tensor]) -> bool:
    """Say whether a state dict is that of a vision transformer named as in timm."""
    return "cls_token" in state and "patch_embed.proj.weight" in state


def to_open_clip(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a state dict for an open_clip vision transformer without a norm before its blocks.

    open_clip's patch convolution has no bias. It is added to the rows of the position table that belong to patches,
    which gives the same tokens, also after the table is resized, because resizing keeps a constant. The output
    projection, which an ImageNet model lacks, becomes the identity; its classifier is left out.

    Args:
        state: in timm's naming, with a position table of (1, 1 + P, W).
    """
    weight, bias = state["patch_embed.proj.weight"], state["patch_embed.proj.bias"]
    table = state["pos_embed"][0].clone()
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
        elif not name.startswith((*_CLASSIFIERS, "cls_token", "pos_embed", "patch_embed.proj.")):
            renamed[name] = value  # unknown, so that strict loading names it
    return renamed


def _block_name(name: str) -> str:
    """Return open_clip's name of a parameter of a block, such as ``"transformer.resblocks.0.ln_1.weight"``."""
    for old, (new, _) in BLOCK_LAYERS.items():
        name = name.replace(f".{old}", f".{new}", 1)
    return f"transformer.res{name}"
