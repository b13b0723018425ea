"""Rows that several released formats share: classification heads, and timm's ImageNet vision transformer."""

from torch import Tensor

from mdreid_bench.models.released_format import Row

_PATCH_BIAS = "patch_bias"
_BLOCK_OF_VIT = {
    "norm1.weight": ("768", "ln_1.weight"),
    "norm1.bias": ("768", "ln_1.bias"),
    "attn.qkv.weight": ("2304 768", "attn.in_proj_weight"),
    "attn.qkv.bias": ("2304", "attn.in_proj_bias"),
    "attn.proj.weight": ("768 768", "attn.out_proj.weight"),
    "attn.proj.bias": ("768", "attn.out_proj.bias"),
    "norm2.weight": ("768", "ln_2.weight"),
    "norm2.bias": ("768", "ln_2.bias"),
    "mlp.fc1.weight": ("3072 768", "mlp.c_fc.weight"),
    "mlp.fc1.bias": ("3072", "mlp.c_fc.bias"),
    "mlp.fc2.weight": ("768 3072", "mlp.c_proj.weight"),
    "mlp.fc2.bias": ("768", "mlp.c_proj.bias"),
}


def head_rows(classifier: str, norm: str, width: int, own: str | None) -> list[Row]:
    """Return the rows of a batch normalisation and a linear classifier without bias.

    Args:
        classifier: released name of the classifier.
        norm: released name of the normalisation.
        width: of the feature.
        own: the head that they become, None for one that is left out.
    """
    parts = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), str(width)) | {"num_batches_tracked": ""}
    rows = [Row(f"{classifier}.weight", f"C {width}", own and f"{own}.classifier.weight")]
    return rows + [Row(f"{norm}.{part}", shape, own and f"{own}.norm.{part}") for part, shape in parts.items()]


def vit_rows(released: str, own: str) -> list[Row]:
    """Return the rows of a transformer named as in timm, with a camera embedding and an unused 1000-way classifier.

    Args:
        released: prefix of the released names.
        own: name of the trunk here.
    """
    rows = [
        Row(f"{released}.cls_token", "1 1 768", f"{own}.class_token"),
        Row(f"{released}.pos_embed", "1 L 768", f"{own}.position"),
        Row(f"{released}.sie_embed", "K 1 768", f"{own}.camera"),
        Row(f"{released}.patch_embed.proj.weight", "768 3 16 16", f"{own}.patch.weight"),
        Row(f"{released}.patch_embed.proj.bias", "768", f"{own}.{_PATCH_BIAS}"),
        Row(f"{released}.norm.weight", "768", f"{own}.ln_post.weight"),
        Row(f"{released}.norm.bias", "768", f"{own}.ln_post.bias"),
        Row(f"{released}.fc.weight", "1000 768", None),
        Row(f"{released}.fc.bias", "1000", None),
    ]
    for name, (shape, here) in _BLOCK_OF_VIT.items():
        rows.append(Row(f"{released}.blocks.{{n}}.{name}", shape, f"{own}.blocks.{{n}}.{here}"))
    return rows


def move_patch_bias(parameters: dict[str, Tensor], own: str) -> None:
    """Add the bias of the patch convolution, which a trunk here does not have, to the position table instead.

    Each patch is the sum of its convolution and its row of the table, so the tokens stay the same.
    """
    bias = parameters.pop(f"{own}.{_PATCH_BIAS}")
    table = parameters[f"{own}.position"].clone()
    table[:, 1:] += bias
    parameters[f"{own}.position"] = table
