"""Optimiser with a learning rate for each kind of parameter, and its schedule.

Warm-up, cosine or steps, and the multiplicative noise of the released code.
"""

import math
from typing import Any

import torch
from torch.optim import SGD, Adam, AdamW, Optimizer

from mdreid_bench.config.schema import RunConfig, ScheduleConfig
from mdreid_bench.models.method import Method

_NOISE_SEED = 42


def build_optimizer(method: Method, config: RunConfig) -> Optimizer:
    """Return Adam, AdamW or SGD over three groups: trunk, base, and biases outside the trunk.

    They are those of docs/methods/training.md, "Optimiser groups". Weight decay applies to every parameter, in the L2
    form but for AdamW. Each group remembers its name and its target rate.
    """
    section = config.optimizer
    trunk_lr = section.lr if section.trunk_lr is None else section.trunk_lr
    targets = {"trunk": trunk_lr, "base": section.lr, "bias": section.lr * section.bias_factor}
    members: dict[str, list[torch.nn.Parameter]] = {name: [] for name in targets}
    pretrained = {id(parameter) for parameter in method.pretrained()}
    for name, parameter in method.named_parameters():
        if parameter.requires_grad:
            kind = "trunk" if id(parameter) in pretrained else "bias" if "bias" in name else "base"
            members[kind].append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": members[name], "lr": target, "target": target, "name": name}
        for name, target in targets.items()
        if members[name]
    ]
    if section.name == "adam":
        return Adam(groups, lr=section.lr, weight_decay=section.weight_decay)
    if section.name == "adamw":
        return AdamW(groups, lr=section.lr, weight_decay=section.weight_decay)
    return SGD(groups, lr=section.lr, momentum=section.momentum, weight_decay=section.weight_decay)


def set_epoch(optimizer: Optimizer, config: RunConfig, epoch: int) -> None:
    """Give every group its rate for one epoch, counted from 1."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(group["target"], config.optimizer.lr, epoch, config.schedule)


def learning_rate(target: float, base: float, epoch: int, config: ScheduleConfig) -> float:
    """Return the rate of a parameter group in one epoch (docs/methods/training.md, "Learning-rate schedule").

    Warm-up rises (or, for a small target, falls) linearly from ``warmup_factor * base`` to ``target``; the cosine
    runs over all epochs, not shifted by the warm-up, down to ``floor_factor * base``. With milestones there is no
    cosine, but a tenth of the rate from each of these epochs on.

    Args:
        target: rate of the group at its height.
        base: base rate of the run, which start and floor refer to for every group.
        epoch: counted from 1.
    """
    if epoch < config.warmup:
        start = config.warmup_factor * base
        rate = start + epoch * (target - start) / config.warmup
    elif config.milestones is not None:
        rate = target * 0.1 ** sum(epoch >= milestone for milestone in config.milestones)
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
