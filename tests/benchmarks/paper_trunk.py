"""MDReID at the paper's size with random weights, and what its trunk's matrix products take by themselves."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mdreid_bench.config.resolve import Overrides, resolve
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.models import registry
from mdreid_bench.models.method import DataFacts, Images, Method
from protocols.modality import RNT
from tests.benchmarks.measuring import seconds

SIZE = (256, 128)
FACTS = DataFacts(identities=171, cameras=6)
"""Of RGBNT201."""
CPU = torch.device("cpu")
ACCELERATORS = [torch.device("cuda")] if torch.cuda.is_available() else []
BLOCKS = 12
TOKENS_AT_ONCE = 12 * 130
"""Of the images that go through the blocks together on a CPU."""


def configure(name: str, preset: str = "paper", **changes: Any) -> RunConfig:
    """Return a preset's configuration for RGBNT201 without pretrained weights."""
    method = registry.card(name)
    flags = {"trunk": {"pretrained": None}} | changes
    return resolve(name, method.options_model, method.recipes, "rgbnt201", SIZE, preset, Overrides(flags=flags))


def untrained(name: str, preset: str = "paper", **changes: Any) -> Method:
    """Return a method with seeded random weights."""
    torch.manual_seed(0)
    return registry.get(name).build(configure(name, preset, **changes), FACTS)


def pictures(triplets: int, device: torch.device = CPU, size: tuple[int, int] = SIZE) -> Images:
    """Return random images of all modalities."""
    generator = torch.Generator().manual_seed(1)
    return {m: torch.randn(triplets, 3, *size, generator=generator).to(device) for m in RNT}


def cameras(triplets: int, device: torch.device = CPU) -> Tensor:
    """Return one camera for all."""
    return torch.zeros(triplets, dtype=torch.int64, device=device)


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Return how long a piece of work takes on a device."""

    def finished() -> None:
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return seconds(finished)


@dataclass
class Products:
    """The linear products of the blocks of ViT-B/16, all but the last, one after the other with nothing between them.

    Attributes:
        dtype: of the factors.
        device: to compute on.
        tokens: rows of a product.
    """

    dtype: torch.dtype
    device: torch.device = CPU
    tokens: int = TOKENS_AT_ONCE

    def __post_init__(self) -> None:
        shapes = ((768, 2304), (768, 768), (768, 3072), (3072, 768))
        self.inputs = {k: self._random(self.tokens, k) for k in (768, 3072)}
        self.layers = [(k, self._random(n, k), self._random(n)) for _ in range(BLOCKS - 1) for k, n in shapes]
        self.operations = sum(2 * self.tokens * weight.numel() for _, weight, _ in self.layers)

    def _random(self, *shape: int) -> Tensor:
        return torch.randn(shape, dtype=self.dtype, device=self.device)

    @torch.inference_mode()
    def __call__(self) -> None:
        for k, weight, bias in self.layers:
            F.linear(self.inputs[k], weight, bias)


def square_rate(dtype: torch.dtype, device: torch.device = CPU, side: int = 2048) -> float:
    """Return operations per second of a large square product, for comparison."""
    one, other = (torch.randn(side, side, dtype=dtype, device=device) for _ in range(2))
    return 2 * side**3 / min(timed(lambda: one @ other, device) for _ in range(5))
