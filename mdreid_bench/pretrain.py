"""Pretrains the small trunk of the ``tiny`` preset: ``python -m mdreid_bench.pretrain OUT.safetensors``.

CLIP brings cross-sensor alignment to the paper's trunk; a small trunk trained from scratch on a few dozen identities
has none. This script gives it a similar start: a contrastive loss over synthetic identities that no dataset
of this project contains (a random stream of their own), in which two views of an identity by different cameras and
any two sensors must find each other.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
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


_IDENTITIES, _VIEWS, _HELD_OUT = 1500, 4, 64
"""Of each kind: identities, views of each by different cameras in different light, further ones to measure on."""
_STEPS, _BATCH = 1000, 32
"""Batches, alternating between the kinds, and identities in each, of which there are two views by three sensors."""
_PEAK_RATE, _TEMPERATURE, _SEED = 1e-3, 0.1, 0
"""Largest learning rate of AdamW, temperature of the contrastive loss, and the seed of everything."""

Rows = NDArray[np.int64]
Views = NDArray[np.uint8]
"""(identities, views, sensors, H, W, 3)."""


def draw_views(kind: Kind, identities: int, views: int, name: str, step: Step) -> Views:
    """Render identities that belong to the pretraining alone, (identities, views, 3, H, W, 3) uint8."""
    height, width = _SIZES[kind]
    out = np.empty((identities, views, len(RNT), height, width, 3), dtype=np.uint8)
    for i in range(identities):
        identity = draw_identity(kind, stream(_NAMESPACE, _SEED, kind, name, i))
        for v in range(views):
            rng = stream(_NAMESPACE, _SEED, kind, name, i, v)
            images = render(identity, draw_camera(kind, rng), draw_scene(kind, rng), rng, (height, width))
            for s, modality in enumerate(RNT):
                out[i, v, s] = images[modality]
        step()
    return out


def contrastive(vectors: Tensor) -> Tensor:
    """Return the mean symmetric InfoNCE loss over all pairs of sensors between two views, a scalar.

    Args:
        vectors: (B, 2, S, D): two views of B identities by S sensors.
    """
    unit = F.normalize(vectors, dim=-1)
    target = torch.arange(len(unit), device=unit.device)
    losses = [
        F.cross_entropy(unit[:, 0, a] @ unit[:, 1, b].T / _TEMPERATURE, target)
        + F.cross_entropy(unit[:, 1, b] @ unit[:, 0, a].T / _TEMPERATURE, target)
        for a in range(unit.shape[2])
        for b in range(unit.shape[2])
    ]
    return torch.stack(losses).mean() / 2


def pretrain(reporter: Reporter) -> tuple[nn.Module, dict[str, float]]:
    """Train one visual tower for both image shapes.

    Returns:
        The tower, and its loss on held-out identities by kind, with log(batch) as what chance would give.
    """
    torch.manual_seed(_SEED)
    visual = visual_tower(TrunkConfig(name="mdreid-tiny", pretrained=None))
    rng = np.random.default_rng(_SEED)
    with reporter.track("drawing identities", 2 * _IDENTITIES) as step:
        pools = {kind: draw_views(kind, _IDENTITIES, _VIEWS, "train", step) for kind in _KINDS}
    optimizer = torch.optim.AdamW(visual.parameters(), lr=_PEAK_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _PEAK_RATE, total_steps=_STEPS, pct_start=0.1)
    with reporter.track("pretraining", _STEPS) as step:
        for number in range(_STEPS):
            kind = _KINDS[number % 2]
            rows = rng.choice(_IDENTITIES, size=_BATCH, replace=False)
            views = np.stack([rng.choice(_VIEWS, size=2, replace=False) for _ in rows])
            loss = _loss(visual, pools[kind], kind, rows, views)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(visual.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            step(note=f"loss {loss.item():.3f}")
    figures = {"log_batch": float(np.log(_HELD_OUT))}
    everything = np.arange(_HELD_OUT), np.tile([0, 1], (_HELD_OUT, 1))
    with reporter.track("measuring", 2 * _HELD_OUT) as step, torch.no_grad():
        for kind in _KINDS:
            held_out = draw_views(kind, _HELD_OUT, 2, "held-out", step)
            figures[kind] = _loss(visual, held_out, kind, *everything).item()
    return visual, figures


def _loss(visual: nn.Module, pool: Views, kind: Kind, rows: Rows, views: Rows) -> Tensor:
    """Return the loss of some identities, two views of each."""
    pixels = torch.from_numpy(pool[rows[:, None], views]).flatten(0, 2)
    images = pixels.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
    vectors = _forward(visual, images, _SIZES[kind])
    return contrastive(vectors.reshape(len(rows), 2, len(RNT), -1))


def _forward(visual: Any, images: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the class vectors (B, D), the position table interpolated to the image size."""
    patches = visual.conv1(images).flatten(2).transpose(1, 2)
    grid = size[0] // visual.conv1.kernel_size[0], size[1] // visual.conv1.kernel_size[1]
    tokens = torch.cat([visual.class_embedding.expand(len(images), 1, -1), patches], dim=1)
    tokens = visual.ln_pre(tokens + interpolate_positions(visual.positional_embedding, grid))
    output: Tensor = visual.ln_post(visual.transformer(tokens)[:, 0]) @ visual.proj
    return output


def main(out: Path, reporter: Reporter) -> None:
    """Pretrain and write half-precision weights."""
    visual, figures = pretrain(reporter)
    reporter.message(", ".join(f"{name} {value:.3f}" for name, value in figures.items()))
    state = {name: value.half().contiguous() for name, value in visual.state_dict().items()}
    save_file(state, out, metadata={name: f"{value:.4f}" for name, value in figures.items()})
    reporter.message(f"wrote {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Console())
