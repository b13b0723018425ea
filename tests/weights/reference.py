"""What a released checkpoint computes by docs/methods, in float64 and elementary operations."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

State = Mapping[str, Tensor]


def layer_norm(s: State, name: str, x: Tensor, eps: float) -> Tensor:
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / (variance + eps).sqrt() * s[f"{name}.weight"] + s[f"{name}.bias"]


def linear(s: State, name: str, x: Tensor) -> Tensor:
    y = x @ s[f"{name}.weight"].T
    return y + s[f"{name}.bias"] if f"{name}.bias" in s else y


def gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / 2**0.5)) / 2


def attention_weights(q: Tensor, k: Tensor) -> Tensor:
    """(B, L, W), (B, M, W) -> (B, 12, L, M), softmax over the last."""
    return (by_head(q) @ by_head(k).transpose(-1, -2) / 8).softmax(-1)


def by_head(x: Tensor) -> Tensor:
    """(B, L, 768) -> (B, 12, L, 64)."""
    return x.reshape(*x.shape[:2], 12, 64).transpose(1, 2)


def mixed(weights: Tensor, v: Tensor) -> Tensor:
    return (weights @ by_head(v)).transpose(1, 2).flatten(2)


def patches_of(images: Tensor, kernel: Tensor, stride: int = 16) -> Tensor:
    """Cut into patches of 16x16, rows first, and project: (B, P, W)."""
    return F.unfold(images, 16, stride=stride).transpose(1, 2) @ kernel.flatten(1).T


def mdreid_tokens(s: State, images: Tensor, camera: Tensor, blocks: int, stride: int = 16) -> Tensor:
    """Specific and shared vector of one modality, (B, 2, 512) (docs/methods/mdreid.md, "Trunk and tokens")."""
    base = "BACKBONE.base."
    batch = len(images)
    specific = s[base + "class_embedding"] + s["BACKBONE.cv_embed"][camera, 0]
    shared = s[base + "add_image_token"].expand(batch, -1)
    patches = patches_of(images, s[base + "conv1.weight"], stride)
    x = torch.cat([specific[:, None], shared[:, None], patches], 1)
    x = layer_norm(s, base + "ln_pre", x + s[base + "positional_embedding"], 1e-5)
    for n in range(blocks):
        p = f"{base}transformer.resblocks.{n}."
        q, k, v = (
            layer_norm(s, p + "ln_1", x, 1e-5) @ s[p + "attn.in_proj_weight"].T + s[p + "attn.in_proj_bias"]
        ).chunk(3, -1)
        x = x + linear(s, p + "attn.out_proj", mixed(attention_weights(q, k), v))
        y = linear(s, p + "mlp.c_fc", layer_norm(s, p + "ln_2", x, 1e-5))
        x = x + linear(s, p + "mlp.c_proj", y * torch.sigmoid(1.702 * y))
    return layer_norm(s, base + "ln_post", x, 1e-5)[:, :2] @ s[base + "proj"]


def vit(s: State, base: str, images: Tensor, camera: Tensor, blocks: int) -> tuple[Tensor, Tensor]:
    """All tokens (B, 129, 768), rollout of the class token (B, 12, 128); see docs/methods/top-reid.md, "Trunks"."""
    patches = patches_of(images, s[f"{base}.patch_embed.proj.weight"]) + s[f"{base}.patch_embed.proj.bias"]
    x = torch.cat([s[f"{base}.cls_token"].expand(len(images), -1, -1), patches], 1)
    x = x + s[f"{base}.pos_embed"] + 3 * s[f"{base}.sie_embed"][camera]
    rollout = torch.eye(x.shape[1], dtype=x.dtype).expand(len(x), 12, -1, -1)
    for n in range(blocks):
        p = f"{base}.blocks.{n}."
        q, k, v = linear(s, p + "attn.qkv", layer_norm(s, p + "norm1", x, 1e-6)).chunk(3, -1)
        weights = attention_weights(q, k)
        rollout = weights @ rollout
        x = x + linear(s, p + "attn.proj", mixed(weights, v))
        x = x + linear(s, p + "mlp.fc2", gelu(linear(s, p + "mlp.fc1", layer_norm(s, p + "norm2", x, 1e-6))))
    return layer_norm(s, f"{base}.norm", x, 1e-6), rollout[:, :, 0, 1:]


def permuted(s: State, tokens: Mapping[str, Tensor]) -> Tensor:
    """Fused feature (B, 2304) from the tokens of R, N and T (docs/methods/top-reid.md, "Token permutation")."""
    classes = {m: t[:, :1] for m, t in tokens.items()}
    patches = {m: t[:, 1:] for m, t in tokens.items()}
    for step, reads in (("start", "NTR"), ("middle", "TRN"), ("end", "RNT")):
        p = f"TPM.Ro_{step}.Rotation."
        after = {}
        for m, source in zip("RNT", reads, strict=True):
            q = layer_norm(s, p + "norm1", classes[m], 1e-5) @ s[p + "attn.q_.weight"].T
            k = layer_norm(s, p + "attn.normy", patches[source], 1e-5) @ s[p + "attn.k_.weight"].T
            v = patches[source] @ s[p + "attn.v_.weight"].T
            x = classes[m] + linear(s, p + "attn.proj", mixed(attention_weights(q, k), v))
            hidden = gelu(linear(s, p + "mlp.fc1", layer_norm(s, p + "norm2", x, 1e-5)))
            after[m] = x + linear(s, p + "mlp.fc2", hidden)
        classes = after
    return torch.cat([classes[m][:, 0] for m in "RNT"], 1)


def reconstructed(s: State, name: str, x: Tensor) -> Tensor:
    """Tokens of another sensor by one reconstruction block (docs/methods/top-reid.md, "Reconstruction")."""
    p = f"CRM.{name}.blocks.0."
    q, k, v = linear(s, p + "attn.qkv", layer_norm(s, p + "norm1", x, 1e-5)).chunk(3, -1)
    x = x + linear(s, p + "attn.proj", mixed(attention_weights(q, k), v))
    return x + linear(s, p + "mlp.fc2", gelu(linear(s, p + "mlp.fc1", layer_norm(s, p + "norm2", x, 1e-5))))


def largest(scores: Tensor, keep: int) -> Tensor:
    """Mask of the largest entries of the last dimension, the first of equals."""
    order = scores.argsort(dim=-1, descending=True, stable=True)[..., :keep]
    return torch.zeros_like(scores, dtype=torch.bool).scatter(-1, order, True)


def editor_feature(s: State, images: Mapping[str, Tensor], camera: Tensor, blocks: int) -> Tensor:
    """Fused feature (B, 2304) of complete modalities (docs/methods/editor.md)."""
    seen = {m: vit(s, "BACKBONE.base", x, camera, blocks) for m, x in images.items()}
    spatial = torch.stack([largest(rollout, 2).any(1) for _, rollout in seen.values()]).any(0)
    bright = torch.stack(list(images.values())).mean(0).mean(1, keepdim=True)
    counts = F.unfold((bright > 0).double(), 16, stride=16).sum(1)
    mask = torch.cat([torch.ones(len(camera), 1, dtype=torch.bool), spatial | largest(counts, 10)], 1)
    alone = {m: _masked_block(s, seen[m][0] * mask[..., None], mask, *_names(m)) for m in "RNT"}
    joined = torch.cat([alone[m] for m in "RNT"], 1)
    together = _masked_block(s, joined, mask.repeat(1, 3), "norm1", "attn1", "norm2", "mlp")
    parts = layer_norm(s, "FUSE_block.out_norm", together, 1e-5) * mask.repeat(1, 3)[..., None]
    selected = (parts[:, 1:129].abs().sum(-1) > 0).sum(1, keepdim=True)
    blocks_out = []
    for name, part in zip(("RGB", "NIR", "TIR"), parts.chunk(3, 1), strict=True):
        pooled = torch.cat([part[:, 0], part[:, 1:].sum(1) / selected], 1)
        blocks_out.append(linear(s, f"{name}_REDUCE", pooled))
    return torch.cat(blocks_out, 1)


def _names(m: str) -> tuple[str, str, str, str]:
    return f"norm{m}", f"attn{m}", f"norm{m}_", f"mlp{m}"


def _masked_block(s: State, x: Tensor, mask: Tensor, before: str, attention: str, between: str, mlp: str) -> Tensor:
    p, kept = "FUSE_block.", mask[..., None]
    q, k, v = linear(s, f"{p}{attention}.qkv", layer_norm(s, p + before, x, 1e-5) * kept).chunk(3, -1)
    logits = by_head(q) @ by_head(k).transpose(-1, -2) / 8
    both = (mask[:, :, None] & mask[:, None, :])[:, None]
    weights = logits.masked_fill(~both, -65504.0).softmax(-1) * mask[:, None, :, None]
    x = x + linear(s, f"{p}{attention}.proj", mixed(weights, v))
    hidden = gelu(linear(s, f"{p}{mlp}.fc1", layer_norm(s, p + between, x, 1e-5) * kept))
    return x + linear(s, f"{p}{mlp}.fc2", hidden)
