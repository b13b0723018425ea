"""Rows that several released formats share: heads, the tower of CLIP, and timm's ImageNet vision transformer."""

from torch import Tensor

from mdreid_bench.models.released_format import COUNTER, Row

_PATCH_BIAS = "patch_bias"
BLOCK_LAYERS = {
    "norm1.": ("ln_1.", "768"),
    "attn.qkv.": ("attn.in_proj_", "2304 768"),
    "attn.proj.": ("attn.out_proj.", "768 768"),
    "norm2.": ("ln_2.", "768"),
    "mlp.fc1.": ("mlp.c_fc.", "3072 768"),
    "mlp.fc2.": ("mlp.c_proj.", "768 3072"),
}
"""Layers of a transformer block as timm calls them: open_clip's name, which is ours, and the shape of the weight."""

CLIP_TOWER = "BACKBONE.base."
"""Prefix of the tower of CLIP in the checkpoints of MDReID, MFRNet and DeMo."""
CLIP_POSITION = CLIP_TOWER + "positional_embedding"


def layer_rows(released: str, own: str | None, shape: str) -> list[Row]:
    """Return the rows of a weight of some shape and of a bias as long as the first side of it.

    Both names end with what stands before ``weight``; ``own`` is None for a layer that is left out, which a
    file may lack.
    """
    sides = {"weight": shape, "bias": shape.split()[0]}
    unused = "" if own else released.removesuffix(".")
    return [Row(released + part, side, own and own + part, unused) for part, side in sides.items()]


def head_rows(classifier: str, norm: str, width: int, own: str | None) -> list[Row]:
    """Return the rows of a batch normalisation and a linear classifier without bias; left out if ``own`` is None.

    A file may lack either.
    """
    parts = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (str(width), norm)) | {
        COUNTER: ("", COUNTER)
    }
    return [
        Row(f"{classifier}.weight", f"C {width}", own and f"{own}.classifier.weight", classifier),
        *(Row(f"{norm}.{name}", shape, own and f"{own}.norm.{name}", part) for name, (shape, part) in parts.items()),
    ]


def clip_rows() -> list[Row]:
    """Return the rows of the visual tower of CLIP ViT-B/16 and of the camera embedding, the trunk here."""
    rows = [
        Row("BACKBONE.cv_embed", "K 1 768", "trunk.camera"),
        Row(CLIP_TOWER + "class_embedding", "768", "trunk.class_token"),
        Row(CLIP_POSITION, "L 768", "trunk.position"),
        Row(CLIP_TOWER + "proj", "768 512", "trunk.projection"),
        Row(CLIP_TOWER + "conv1.weight", "768 3 16 16", "trunk.patch.weight"),
        *layer_rows(CLIP_TOWER + "ln_pre.", "trunk.ln_pre.", "768"),
        *layer_rows(CLIP_TOWER + "ln_post.", "trunk.ln_post.", "768"),
    ]
    for name, shape in BLOCK_LAYERS.values():
        rows += layer_rows(f"{CLIP_TOWER}transformer.resblocks.{{n}}.{name}", f"trunk.blocks.{{n}}.{name}", shape)
    return rows


def vit_rows(released: str, own: str) -> list[Row]:
    """Return the rows of a transformer named as in timm, with a camera embedding and an unused 1000-way classifier.

    ``released`` is the prefix of its names, ``own`` the name of the trunk here.
    """
    rows = [
        Row(f"{released}.cls_token", "1 1 768", f"{own}.class_token"),
        Row(f"{released}.pos_embed", "1 L 768", f"{own}.position"),
        Row(f"{released}.sie_embed", "K 1 768", f"{own}.camera"),
        Row(f"{released}.patch_embed.proj.weight", "768 3 16 16", f"{own}.patch.weight"),
        Row(f"{released}.patch_embed.proj.bias", "768", f"{own}.{_PATCH_BIAS}"),
        *layer_rows(f"{released}.norm.", f"{own}.ln_post.", "768"),
        *layer_rows(f"{released}.fc.", None, "1000 768"),
    ]
    for name, (here, shape) in BLOCK_LAYERS.items():
        rows += layer_rows(f"{released}.blocks.{{n}}.{name}", f"{own}.blocks.{{n}}.{here}", shape)
    return rows


def move_patch_bias(parameters: dict[str, Tensor], own: str) -> None:
    """Add the bias of the patch convolution, which a trunk here does not have, to the position table instead.

    Each patch is the sum of its convolution and its row of the table, so the tokens stay the same.
    """
    bias = parameters.pop(f"{own}.{_PATCH_BIAS}")
    table = parameters[f"{own}.position"].clone()
    table[:, 1:] += bias
    parameters[f"{own}.position"] = table
