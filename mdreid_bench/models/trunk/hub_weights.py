"""Vision transformers in the naming of the hub's library: CLIP becomes open_clip's naming, ViT and DeiT timm's."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

_CLIP = (
    ("vision_model.embeddings.class_embedding", "class_embedding"),
    ("vision_model.embeddings.position_embedding.weight", "positional_embedding"),
    ("vision_model.embeddings.patch_embedding.", "conv1."),
    ("vision_model.pre_layrnorm.", "ln_pre."),
    ("vision_model.post_layernorm.", "ln_post."),
    ("vision_model.encoder.layers.", "transformer.resblocks."),
    (".self_attn.out_proj.", ".attn.out_proj."),
    (".self_attn.q_proj.", ".attn.in_proj_"),
    (".layer_norm1.", ".ln_1."),
    (".layer_norm2.", ".ln_2."),
    (".mlp.fc1.", ".mlp.c_fc."),
    (".mlp.fc2.", ".mlp.c_proj."),
)
_CLIP_LEFT_OUT = ("text_", "logit_", "vision_model.embeddings.position_ids")
_VIT = (
    ("vit.", ""),
    ("deit.", ""),
    ("embeddings.cls_token", "cls_token"),
    ("embeddings.distillation_token", "dist_token"),
    ("embeddings.position_embeddings", "pos_embed"),
    ("embeddings.patch_embeddings.projection.", "patch_embed.proj."),
    ("encoder.layer.", "blocks."),
    (".layernorm_before.", ".norm1."),
    (".layernorm_after.", ".norm2."),
    (".attention.attention.query.", ".attn.qkv."),
    (".attention.output.dense.", ".attn.proj."),
    (".intermediate.dense.", ".mlp.fc1."),
    (".output.dense.", ".mlp.fc2."),
    ("layernorm.", "norm."),
)
_VIT_LEFT_OUT = (
    "pooler.",
    "vit.pooler.",
    "deit.pooler.",
    "classifier.",
    "cls_classifier.",
    "distillation_classifier.",
)
_THREE = (("q_proj.", "k_proj.", "v_proj."), ("attention.query.", "attention.key.", "attention.value."))


def is_hub(names: Collection[str]) -> bool:
    """Say whether names are those of a CLIP, ViT or DeiT model of the hub's library."""
    return "vision_model.embeddings.class_embedding" in names or any(
        n.endswith("embeddings.cls_token") for n in names
    )


def from_hub(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a state dict, and put the weights of queries, keys and values on top of each other.

    Text tower, pooler and classifiers are left out.
    """
    clip = "vision_model.embeddings.class_embedding" in state
    table, left_out = (_CLIP, _CLIP_LEFT_OUT) if clip else (_VIT, _VIT_LEFT_OUT)
    renamed = {}
    for name, value in state.items():
        if name.startswith(left_out) or any(part in name for _, *later in _THREE for part in later):
            continue
        query = next((three for three in _THREE if three[0] in name), None)
        parts = [state.get(name.replace(query[0], part)) for part in query] if query else [value]
        new = name
        for old, here in table:
            if old[0] == "." or new.startswith(old):
                new = new.replace(old, here, 1)
        whole = [part for part in parts if part is not None]
        if len(whole) == len(parts):  # else it is missing, and strict loading names it
            renamed[new] = torch.cat(whole) if query else value
    if "visual_projection.weight" in renamed:
        renamed["proj"] = renamed.pop("visual_projection.weight").T.contiguous()
    return renamed
