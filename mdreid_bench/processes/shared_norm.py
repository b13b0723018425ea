"""Batch normalisation whose statistics are those of the images of all processes."""

import torch
from torch import Tensor, nn

from mdreid_bench.processes.ranks import ALONE, Ranks


class SharedNorm(nn.BatchNorm2d):
    """A batch normalisation that adds up over the processes, which have equally many images each.

    That of torch needs a GPU. What is exchanged here lies in the middle of the forward and the backward pass, so a
    process that fails there is missed by the others, which then end with an error of their own.
    """

    ranks: Ranks = ALONE

    def forward(self, input: Tensor) -> Tensor:
        """Normalise maps (b, C, h, w) of this process."""
        if not self.training:
            return super().forward(input)
        maps = input.float() if input.dtype in (torch.float16, torch.bfloat16) else input
        count = maps.numel() // maps.shape[1] * self.ranks.size
        mean = self._mean(maps, count)
        centred = maps - mean
        variance = self._mean(centred.square(), count)
        with torch.no_grad():
            for kept, found in ((self.running_mean, mean), (self.running_var, variance * (count / (count - 1)))):
                assert kept is not None
                assert self.momentum is not None
                kept.lerp_(found.flatten().to(kept.dtype), self.momentum)
            assert self.num_batches_tracked is not None
            self.num_batches_tracked += 1
        normed = centred * (variance + self.eps).rsqrt()
        return (normed * self.weight[:, None, None] + self.bias[:, None, None]).to(input.dtype)

    def _mean(self, maps: Tensor, count: int) -> Tensor:
        """Return the means over the images of all processes, (1, C, 1, 1)."""
        return self.ranks.add(maps.sum((0, 2, 3), keepdim=True)) / count


def share_statistics(module: nn.Module, ranks: Ranks) -> None:
    """Let the batch normalisations of maps within a module be those of all processes; its parameters stay."""
    for child in module.modules():
        if type(child) is nn.BatchNorm2d:
            child.__class__ = SharedNorm
            child.ranks = ranks  # type: ignore[assignment]
