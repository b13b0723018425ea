"""Pretrains the small trunk of the ``tiny`` preset: ``python -m mdreid_bench.pretrain OUT.safetensors``.

CLIP brings cross-sensor alignment to the paper's trunk; a small trunk trained from scratch on a few dozen identities
has none. This script gives it a similar start: a contrastive loss over synthetic identities that no dataset
of this project contains (a random stream of their own), in which two views of an identity by different cameras and
any two sensors must find each other.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from mdreid_bench.cli.console import Console
from mdreid_bench.config.schema import TrunkConfig
from mdreid_bench.data.synthetic.draw import draw_camera, draw_identity, draw_scene, stream
from mdreid_bench.data.synthetic.latents import Kind
from mdreid_bench.data.synthetic.render import render
from mdreid_bench.models.trunk.tower_weights import visual_tower
from mdreid_bench.models.trunk.trunk import interpolate_positions
from mdreid_bench.progress import Reporter, Step
from protocols.modality import RNT

_NAMESPACE = "trunk-pretraining"
_KINDS: tuple[Kind, Kind] = ("person", "vehicle")
_SIZES: dict[Kind, tuple[int, int]] = {"person": (128, 64), "vehicle": (64, 128)}


@dataclass(frozen=True)
class Plan:
    """Settings of the pretraining.

    Attributes:
        identities: per kind.
        views: of each identity, by different cameras in different light.
        held_out: further identities per kind, to measure on.
        steps: batches, alternating between the kinds.
        batch: identities per batch; each gives two views by three sensors.
        lr: peak learning rate of AdamW.
        temperature: of the contrastive loss.
        seed: of everything.
    """

    identities: int = 1500
    views: int = 4
    held_out: int = 64
    steps: int = 1000
    batch: int = 32
    lr: float = 1e-3
    temperature: float = 0.1
    seed: int = 0


Views = NDArray[np.uint8]
"""(identities, views, sensors, H, W, 3)."""


def draw_views(kind: Kind, identities: int, views: int, seed: int, name: str, step: Step) -> Views:
    """Render identities that belong to the pretraining alone, (identities, views, 3, H, W, 3) uint8."""
    height, width = _SIZES[kind]
    out = np.empty((identities, views, len(RNT), height, width, 3), dtype=np.uint8)
    for i in range(identities):
        identity = draw_identity(kind, stream(_NAMESPACE, seed, kind, name, i))
        for v in range(views):
            rng = stream(_NAMESPACE, seed, kind, name, i, v)
            images = render(identity, draw_camera(kind, rng), draw_scene(kind, rng), rng, (height, width))
            for s, modality in enumerate(RNT):
                out[i, v, s] = images[modality]
        step()
    return out


def contrastive(vectors: Tensor, temperature: float) -> Tensor:
    """Return the mean symmetric InfoNCE loss over all pairs of sensors between two views, a scalar.

    Args:
        vectors: (B, 2, S, D): two views of B identities by S sensors.
        temperature: divides the cosines.
    """
    unit = F.normalize(vectors, dim=-1)
    target = torch.arange(len(unit), device=unit.device)
    losses = [
        F.cross_entropy(unit[:, 0, a] @ unit[:, 1, b].T / temperature, target)
        + F.cross_entropy(unit[:, 1, b] @ unit[:, 0, a].T / temperature, target)
        for a in range(unit.shape[2])
        for b in range(unit.shape[2])
    ]
    return torch.stack(losses).mean() / 2


class Pretrainer:
    """Trains one visual tower for both image shapes.

    Args:
        plan: settings.
        reporter: receives progress.
    """

    def __init__(self, plan: Plan, reporter: Reporter) -> None:
        self.plan, self.reporter = plan, reporter
        torch.manual_seed(plan.seed)
        self.visual: Any = visual_tower(TrunkConfig(name="mdreid-tiny", pretrained=None))
        self.rng = np.random.default_rng(plan.seed)

    def run(self) -> dict[str, float]:
        """Train, and return the loss on held-out identities by kind, with log(batch) as what chance would give."""
        plan = self.plan
        with self.reporter.track("drawing identities", 2 * plan.identities) as step:
            pools = {k: draw_views(k, plan.identities, plan.views, plan.seed, "train", step) for k in _KINDS}
        optimizer = torch.optim.AdamW(self.visual.parameters(), lr=plan.lr, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.lr, total_steps=plan.steps, pct_start=0.1)
        with self.reporter.track("pretraining", plan.steps) as step:
            for number in range(plan.steps):
                kind = _KINDS[number % 2]
                loss = self._loss(pools[kind], kind, self._draw(pools[kind]))
                optimizer.zero_grad(set_to_none=True)
                torch.autograd.backward(loss)
                torch.nn.utils.clip_grad_norm_(self.visual.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                step(note=f"loss {loss.item():.3f}")
        return self.measure()

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """Return the contrastive loss on held-out identities, one batch per kind."""
        plan = self.plan
        result = {"log_batch": float(np.log(plan.held_out))}
        with self.reporter.track("measuring", 2 * plan.held_out) as step:
            for kind in _KINDS:
                views = draw_views(kind, plan.held_out, 2, plan.seed, "held-out", step)
                everything = np.arange(plan.held_out), np.tile([0, 1], (plan.held_out, 1))
                result[kind] = self._loss(views, kind, everything).item()
        return result

    def _draw(self, pool: Views) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        rows = self.rng.choice(len(pool), size=self.plan.batch, replace=False)
        views = np.stack([self.rng.choice(pool.shape[1], size=2, replace=False) for _ in rows])
        return rows, views

    def _loss(self, pool: Views, kind: Kind, drawn: tuple[NDArray[np.int64], NDArray[np.int64]]) -> Tensor:
        rows, views = drawn
        pixels = torch.from_numpy(pool[rows[:, None], views]).flatten(0, 2)
        images = pixels.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
        vectors = self._forward(images, _SIZES[kind])
        return contrastive(vectors.reshape(len(rows), 2, len(RNT), -1), self.plan.temperature)

    def _forward(self, images: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the class vectors (B, D), the position table interpolated to the image size."""
        visual = self.visual
        patches = visual.conv1(images).flatten(2).transpose(1, 2)
        grid = size[0] // visual.conv1.kernel_size[0], size[1] // visual.conv1.kernel_size[1]
        tokens = torch.cat([visual.class_embedding.expand(len(images), 1, -1), patches], dim=1)
        tokens = visual.ln_pre(tokens + interpolate_positions(visual.positional_embedding, grid))
        output: Tensor = visual.ln_post(visual.transformer(tokens)[:, 0]) @ visual.proj
        return output


def main(out: Path, reporter: Reporter) -> None:
    """Pretrain with the default plan and write half-precision weights."""
    trainer = Pretrainer(Plan(), reporter)
    figures = trainer.run()
    reporter.message(", ".join(f"{name} {value:.3f}" for name, value in figures.items()))
    state = {name: value.half().contiguous() for name, value in trainer.visual.state_dict().items()}
    save_file(state, out, metadata={name: f"{value:.4f}" for name, value in figures.items()})
    reporter.message(f"wrote {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Console())
