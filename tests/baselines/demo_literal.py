"""What DeMo computes by docs/methods/demo.md, with the names of its released code, in float64."""

from collections.abc import Mapping

import torch
from torch import Tensor

from tests.baselines.literal import State, attention, layer_norm, linear
from tests.weights.reference import patches_of

BASE = "BACKBONE.base."
SENSORS = {"R": "rgb", "N": "nir", "T": "tir"}
SUBSETS = ("R", "N", "T", "RN", "RT", "NT", "RNT")


def quick(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


def batch_norm(x: Tensor, s: State, name: str) -> Tensor:
    scale = s[f"{name}.weight"] / (s[f"{name}.running_var"] + 1e-5).sqrt()
    return (x - s[f"{name}.running_mean"]) * scale + s[f"{name}.bias"]


def tower(s: State, images: Tensor, camera: Tensor, blocks: int) -> Tensor:
    """Return all tokens (B, 1 + P, 512)."""
    first = s[BASE + "class_embedding"] + s["BACKBONE.cv_embed"][camera, 0]
    x = torch.cat([first[:, None], patches_of(images, s[BASE + "conv1.weight"])], 1)
    x = layer_norm(x + s[BASE + "positional_embedding"], s, BASE + "ln_pre")
    for number in range(blocks):
        p = f"{BASE}transformer.resblocks.{number}."
        y = layer_norm(x, s, p + "ln_1")
        q, k, v = (y @ s[p + "attn.in_proj_weight"].T + s[p + "attn.in_proj_bias"]).chunk(3, -1)
        x = x + linear(attention(q, k, v, 12), s, p + "attn.out_proj")
        x = x + linear(quick(linear(layer_norm(x, s, p + "ln_2"), s, p + "mlp.c_fc")), s, p + "mlp.c_proj")
    return layer_norm(x, s, BASE + "ln_post") @ s[BASE + "proj"]


def vector(
    s: State, images: Mapping[str, Tensor], camera: Tensor, blocks: int, heads: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return ori (B, 1536), and by subset the block of moe, (B, 512); absent images are zeros."""
    sequences, pooled = {}, {}
    for m, name in SENSORS.items():
        tokens = tower(s, images[m], camera, blocks)
        joined = torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], 1)
        pooled[m] = quick(linear(layer_norm(joined, s, f"{name}_reduce.0"), s, f"{name}_reduce.1"))
        sequences[m] = torch.cat([pooled[m][:, None], tokens[:, 1:]], 1)
    read = {subset: _read(s, subset, torch.cat([sequences[m] for m in subset], 1)) for subset in SUBSETS}
    gate = "generalFusion.moe.gating_network.gate."
    hidden = quick(linear(torch.cat(list(read.values()), 1), s, gate + "linear_re.0"))
    query = batch_norm(hidden, s, gate + "linear_re.2") @ s[gate + "q_.weight"].T
    size = 512 // heads
    outputs: dict[str, list[Tensor]] = {subset: [] for subset in SUBSETS}
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        keys = [(e @ s[gate + "k_.weight"].T)[:, part] for e in read.values()]
        powers = [((query[:, part] * key).sum(1) / size**0.5).exp() for key in keys]
        for number, (subset, e) in enumerate(read.items()):
            expert = f"generalFusion.moe.experts.{head}.expertHead.{number}.mlp."
            made = batch_norm(quick(linear(e[:, part], s, expert + "0")), s, expert + "2")
            outputs[subset].append((powers[number] / sum(powers))[:, None] * made)
    return torch.cat(list(pooled.values()), 1), {subset: torch.cat(found, 1) for subset, found in outputs.items()}


def _read(s: State, subset: str, keys: Tensor) -> Tensor:
    p = f"generalFusion.{subset.lower()}"
    weight, bias = s[f"{p}.in_proj_weight"].chunk(3), s[f"{p}.in_proj_bias"].chunk(3)
    token = s[f"{p}_token"].expand(len(keys), 1, -1)
    q, k, v = (x @ w.T + b for x, w, b in zip((token, keys, keys), weight, bias, strict=True))
    return linear(attention(q, k, v, 8), s, f"{p}.out_proj")[:, 0]
