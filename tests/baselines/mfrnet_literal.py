"""What MFRNet computes by docs/methods/mfrnet.md, row by row of its table, in float64 and elementary operations."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tests.baselines.literal import State, attention, layer_norm, linear

Layers = tuple[Tensor, Tensor, Tensor, Tensor]
"""Weight and bias of the two layers of an expert."""


@dataclass(frozen=True)
class Mixture:
    """A sparse mixture of experts; of equal ones there may be one for all."""

    gate: Sequence[Tensor]
    experts: Sequence[Layers]
    residual: bool
    capacity: float | None

    def __call__(self, tokens: Tensor) -> Tensor:
        flat = tokens.reshape(-1, tokens.shape[-1])
        weight, bias, directions, temperature = self.gate
        projected = flat @ weight.T + bias
        cosine = projected @ directions / projected.norm(dim=1, keepdim=True) / directions.norm(dim=0)
        logits = cosine * math.exp(min(temperature.item(), math.log(100)))
        values = logits.exp() / logits.exp().sum(1, keepdim=True)
        chosen = values.argmax(1).tolist()
        rows = []
        made = [flat @ a.T @ b.T + (first @ b.T + second) for a, first, b, second in self.experts]
        for row, expert in enumerate(chosen):
            output = made[expert if len(made) > 1 else 0][row]
            rows.append(values[row, expert] * (output + flat[row] if self.residual else output))
        for row in self.dropped(values.amax(1).tolist(), chosen, values.shape[1]):
            rows[row] = torch.zeros_like(rows[row])
        return torch.stack(rows).reshape(tokens.shape)

    def dropped(self, values: list[float], chosen: list[int], count: int) -> list[int]:
        if self.capacity is None:
            return []
        room, overflow = [int(self.capacity * math.ceil(len(values) / count))] * count, []
        for row in sorted(range(len(values)), key=lambda row: -values[row]):
            if room[chosen[row]]:
                room[chosen[row]] -= 1
            else:
                overflow.append(row)
        return overflow


@dataclass(frozen=True)
class MFRNetInWords:
    """The parts of the model, with parameters by the names that follow ``trunk.`` here and the tower there."""

    tower: State
    blocks: str
    heads: int
    depth: int
    generate_a: Mixture
    generate_b: Mixture
    adapt: Mixture
    weights: dict[str, tuple[Tensor, Tensor]]
    pool: Callable[[str, Tensor], Tensor] | None = None

    def feature(self, x: dict[str, Tensor], available: str) -> Tensor:
        """Return the unnormalised feature of tokens (B, L, W) that stand before the blocks."""
        made = self.rows(x)[available]
        stacked = self.transformed(torch.cat([made[m] for m in "RNT"]))
        parts = dict(zip("RNT", stacked.chunk(3), strict=True))
        return torch.cat([self.pool(m, t) if self.pool else t[:, 0] for m, t in parts.items()], dim=1)

    def rows(self, x: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return the rows of the table: what enters the blocks for R, N and T by the sensors that are there."""
        ga = {m: self.generate_a(t) for m, t in x.items()}
        gb = {m: self.generate_b(t) for m, t in x.items()}
        u = {pair: self.weight(pair, x[pair[0]]) for pair in self.weights}

        def shared(first: str, one: Tensor, second: str, other: Tensor) -> Tensor:
            a, b = u[first].exp(), u[second].exp()
            return a / (a + b) * one + b / (a + b) * other

        r = shared("NR", ga["N"], "TR", ga["T"])
        n = shared("RN", ga["R"], "TN", gb["T"])
        t = shared("RT", gb["R"], "NT", gb["N"])
        half = {m: 0.5 * tokens for m, tokens in x.items()}
        return {
            "RNT": {"R": half["R"] + r, "N": half["N"] + n, "T": half["T"] + t},
            "NT": {"R": r, "N": half["N"] + gb["T"], "T": half["T"] + gb["N"]},
            "RT": {"R": half["R"] + ga["T"], "N": n, "T": half["T"] + gb["R"]},
            "RN": {"R": half["R"] + ga["N"], "N": half["N"] + ga["R"], "T": t},
            "T": {"R": ga["T"], "N": gb["T"], "T": x["T"]},
            "N": {"R": ga["N"], "N": x["N"], "T": gb["N"]},
            "R": {"R": x["R"], "N": u["RN"] * ga["R"], "T": u["RT"] * gb["R"]},
        }

    def weight(self, pair: str, tokens: Tensor) -> Tensor:
        weight, bias = self.weights[pair]
        return (tokens.mean(1) @ weight.reshape(-1) + bias)[:, None, None]

    def transformed(self, x: Tensor) -> Tensor:
        s = self.tower
        x = layer_norm(x, s, "ln_pre")
        for number in range(self.depth):
            p = f"{self.blocks}.{number}."
            y = layer_norm(x, s, p + "ln_1")
            q, k, v = (y @ s[p + "attn.in_proj_weight"].T + s[p + "attn.in_proj_bias"]).chunk(3, -1)
            x = x + linear(attention(q, k, v, self.heads), s, p + "attn.out_proj")
            y = layer_norm(x, s, p + "ln_2")
            if number == self.depth - 1:
                x = x + self.adapt(y)
            else:
                hidden = linear(y, s, p + "mlp.c_fc")
                x = x + linear(hidden * torch.sigmoid(1.702 * hidden), s, p + "mlp.c_proj")
        return layer_norm(x, s, "ln_post") @ s["proj"]
