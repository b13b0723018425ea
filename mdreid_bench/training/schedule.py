"""Learning rate per epoch: warm-up, cosine, and the multiplicative noise of the released code."""

import math

import torch

from mdreid_bench.config.schema import ScheduleConfig

_NOISE_SEED = 42


def learning_rate(target: float, base: float, epoch: int, config: ScheduleConfig) -> float:
    """Return the rate of a parameter group in one epoch (docs/methods/training.md, "Learning-rate schedule").

    Warm-up rises (or, for a small target, falls) linearly from ``warmup_factor * base`` to ``target``; the cosine
    runs over all epochs, not shifted by the warm-up, down to ``floor_factor * base``.

    Args:
        target: rate of the group at its height.
        base: base rate of the run, which start and floor refer to for every group.
        epoch: counted from 1.
        config: epochs, warm-up, factors, noise.
    """
    if epoch < config.warmup:
        start = config.warmup_factor * base
        rate = start + epoch * (target - start) / config.warmup
    elif epoch >= config.epochs:
        rate = config.floor_factor * base
    else:
        floor = config.floor_factor * base
        rate = floor + 0.5 * (target - floor) * (1 + math.cos(math.pi * epoch / config.epochs))
    return rate * (1 + noise(epoch, config))


def noise(epoch: int, config: ScheduleConfig) -> float:
    """Return n_t: the first standard normal draw below the bound, seeded with 42 + epoch; 0 in the last epoch."""
    if not config.noise or epoch >= config.epochs:
        return 0.0
    generator = torch.Generator().manual_seed(_NOISE_SEED + epoch)
    while True:
        draw = torch.randn(1, generator=generator).item()
        if abs(draw) < config.noise:
            return draw
