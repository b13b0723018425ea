"""Elementary operations in float64, written out, that the slow transcriptions of the baselines share."""

import math

import torch
from torch import Tensor, nn

State = dict[str, Tensor]


def part(module: nn.Module, prefix: str = "") -> State:
    """Return the parameters below a prefix, without it, as float64."""
    state = module.state_dict()
    return {name.removeprefix(prefix): value.double() for name, value in state.items() if name.startswith(prefix)}


def layer_norm(x: Tensor, state: State, name: str, eps: float = 1e-5) -> Tensor:
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
    return (x - mean) / (variance + eps).sqrt() * state[name + ".weight"] + state[name + ".bias"]


def linear(x: Tensor, state: State, name: str) -> Tensor:
    y = x @ state[name + ".weight"].T
    return y + state[name + ".bias"] if name + ".bias" in state else y


def gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def attention(query: Tensor, key: Tensor, value: Tensor, heads: int, lowest: Tensor | None = None) -> Tensor:
    """Attend head by head; (B, Lq, W), (B, L, W), (B, L, W) -> (B, Lq, W); False in ``lowest`` gives -65504."""
    size = query.shape[-1] // heads
    outputs = []
    for head in range(heads):
        cut = slice(head * size, (head + 1) * size)
        logits = query[..., cut] @ key[..., cut].transpose(1, 2) / math.sqrt(size)
        if lowest is not None:
            logits = torch.where(lowest, logits, torch.tensor(-65504.0, dtype=logits.dtype))
        powers = (logits - logits.amax(-1, keepdim=True)).exp()
        outputs.append(powers / powers.sum(-1, keepdim=True) @ value[..., cut])
    return torch.cat(outputs, dim=-1)


def random(*shape: int, seed: int = 0) -> Tensor:
    """Return seeded standard normal numbers, float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
