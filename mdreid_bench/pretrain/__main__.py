"""Pretrains a small trunk: ``python -m mdreid_bench.pretrain mdreid-tiny OUT.safetensors``.

The trunk learns to see, as CLIP did from captions, and not to re-identify: it names the parts in each field of an
image and describes the whole (docs/methods/training.md, "The trunks that stand in").
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from mdreid_bench.cli.console import Console
from mdreid_bench.data.synthetic.latents import Kind, Part
from mdreid_bench.pretrain.batch import Batch, photographed
from mdreid_bench.pretrain.naming import Namer, naming_loss
from mdreid_bench.pretrain.samples import SIZES, draw_sample
from mdreid_bench.progress import Reporter, Step


@dataclass(frozen=True)
class Course:
    """How long a trunk is pretrained: ``steps`` batches of ``batch`` images, out of ``images`` of each kind."""

    steps: int
    images: int
    batch: int


COURSES = {"mdreid-tiny": Course(6000, 8000, 64), "mdreid-resnet-tiny": Course(500, 6000, 48)}
"""By the trunk's name. With half as many steps a transformer hardly sees persons, nor what is trained on it."""
_HELD_OUT = 480
"""Images of each kind to measure on."""
_PEAK_RATE, _SEED = 1e-3, 0
"""Largest learning rate of AdamW, and the seed of everything."""


def draw_pool(kind: Kind, split: str, images: int, step: Step) -> Batch:
    """Draw objects, each of them once."""
    samples = []
    for number in range(images):
        samples.append(draw_sample(kind, split, number))
        step()
    return Batch.of(samples)


def pretrain(name: str, course: Course, reporter: Reporter) -> tuple[Namer, dict[str, float]]:
    """Train a trunk, on persons and vehicles in turn, and measure it.

    Returns:
        The trunk with its heads, and mean scores on held-out images by kind.
    """
    torch.manual_seed(_SEED)
    random = torch.Generator().manual_seed(_SEED)
    namer = Namer(name).train()
    with reporter.track("drawing images", len(SIZES) * course.images) as step:
        pools = [draw_pool(kind, "train", course.images, step) for kind in SIZES]
    optimizer = torch.optim.AdamW(namer.parameters(), lr=_PEAK_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _PEAK_RATE, total_steps=course.steps, pct_start=0.1)
    with reporter.track(f"pretraining {name}", course.steps) as step:
        for number in range(course.steps):
            some = torch.randint(course.images, (course.batch,), generator=random)
            loss = naming_loss(namer, photographed(pools[number % len(pools)].rows(some), random))
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(namer.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            step(note=f"loss {loss.item():.3f}")
    with reporter.track("measuring", len(SIZES) * _HELD_OUT) as step:
        return namer, measure(namer.eval(), step)


def measure(namer: Namer, step: Step) -> dict[str, float]:
    """Return the mean scores on images of objects that were not trained on, by kind and score."""
    random = torch.Generator().manual_seed(_SEED)
    figures: dict[str, float] = {}
    for kind in SIZES:
        pool = photographed(draw_pool(kind, "held-out", _HELD_OUT, step), random)
        figures[f"{kind}.fields_of_background"] = float((pool.fields.argmax(2) == Part.BACKGROUND).float().mean())
        figures |= {f"{kind}.{score}": float(values.mean()) for score, values in namer.scores(pool).items()}
    return figures


def save(namer: Namer, told: dict[str, str], out: Path) -> None:
    """Write the trunk alone, in half precision, with what is told of it."""
    state = {
        name: value.half().contiguous()
        for name, value in namer.trunk.state_dict().items()
        if value.is_floating_point()
    }
    save_file(state, out, metadata=told)


def main(name: str, out: Path, reporter: Reporter) -> None:
    """Pretrain, write the weights, and say how to make them again."""
    making = f"python -m mdreid_bench.pretrain {name} {out.name}"
    course = COURSES[name]
    namer, figures = pretrain(name, course, reporter)
    reporter.message(", ".join(f"{figure} {value:.3f}" for figure, value in figures.items()))
    told = {"made_by": making, "data": "synthetic", "steps": str(course.steps)}
    save(namer, told | {figure: f"{value:.4f}" for figure, value in figures.items()}, out)
    reporter.message(f"wrote {out}; to make it again (below 30 minutes on two cores): {making}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m mdreid_bench.pretrain", description=__doc__)
    parser.add_argument("name", choices=COURSES, help="trunk to pretrain")
    parser.add_argument("out", type=Path, help="file to write (safetensors)")
    given = parser.parse_args()
    main(given.name, given.out, Console())
