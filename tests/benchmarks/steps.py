"""Training steps of MDReID at the paper's size, with random weights and images."""

import torch
from torch import Tensor

from mdreid_bench.config.schema import Precision
from mdreid_bench.models.mdreid.method import MDReID
from mdreid_bench.models.method import TrainingBatch
from mdreid_bench.models.trunk.trunk import run_trunk
from mdreid_bench.processes.device import DTYPES
from mdreid_bench.processes.ranks import ALONE
from mdreid_bench.training.forward import Forward
from mdreid_bench.training.nonfinite import is_finite_gradient
from mdreid_bench.training.optimiser import build_optimizer
from tests.benchmarks.paper_trunk import CPU, cameras, configure, pictures, untrained

INSTANCES = 8


class Step:
    """Steps of MDReID: losses, gradients, their check, Adam; and the trunk's share of it."""

    def __init__(
        self,
        precision: Precision,
        triplets: int,
        micro_batch: int | None = None,
        device: torch.device = CPU,
        preset: str = "paper",
    ) -> None:
        memory = {"micro_batch": micro_batch}
        self.config, self.device = configure("mdreid", preset, memory=memory), device
        method = untrained("mdreid", preset)
        assert isinstance(method, MDReID)
        self.method, self.precision = method.to(device).train(), precision
        self.forward = Forward(method, self.config, precision, ALONE)
        self.optimizer = build_optimizer(method, self.config)
        self.images, self.cameras = pictures(triplets, device, self.config.image_size), cameras(triplets, device)
        self.identity = torch.arange(triplets, device=device) // INSTANCES

    def __call__(self) -> None:
        """Do what the trainer does with a batch."""
        terms = self.forward(TrainingBatch(self.images, self.identity, self.cameras))
        values = [term.item() for term in terms.values()]
        assert all(map(torch.isfinite, map(torch.tensor, values)))
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(list(terms.values())).sum())
        assert is_finite_gradient(list(self.method.parameters()))
        self.optimizer.step()

    def trunk(self) -> None:
        """Forward and backward of the trunk alone, with a loss that costs nothing."""
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, DTYPES[self.precision], enabled=self.precision != "fp32"):
            tokens = run_trunk(self.method.trunk, self.images, self.cameras)
        total: Tensor = torch.stack([part.float().sum() for part in tokens.values()]).sum()
        torch.autograd.backward(total)
