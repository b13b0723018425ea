"""Optimiser with a learning rate for each kind of parameter."""

from typing import Any

import torch
from torch.optim import SGD, Adam, Optimizer

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.models.method import Method
from mdreid_bench.training.schedule import learning_rate


def build_optimizer(method: Method, config: RunConfig) -> Optimizer:
    """Return Adam or SGD over three groups: trunk, base, and biases outside the trunk.

    They are those of docs/methods/training.md, "Optimiser groups". Weight decay is the L2 form and applies to every
    parameter. Each group remembers its target rate.
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
        {"params": members[name], "lr": target, "target": target} for name, target in targets.items() if members[name]
    ]
    if section.name == "adam":
        return Adam(groups, lr=section.lr, weight_decay=section.weight_decay)
    return SGD(groups, lr=section.lr, momentum=section.momentum, weight_decay=section.weight_decay)


def set_epoch(optimizer: Optimizer, config: RunConfig, epoch: int) -> None:
    """Give every group its rate for one epoch, counted from 1."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(group["target"], config.optimizer.lr, epoch, config.schedule)
