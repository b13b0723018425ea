"""Speed of extraction at the paper's size: against plain open_clip, between precisions, against matrix products."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from mdreid_bench.models.trunk.inference_copy import inference_copy
from mdreid_bench.models.trunk.tower_weights import visual_tower
from mdreid_bench.processes.device import DTYPES, cpu_has_bf16
from protocols.modality import RNT, subsets
from tests.benchmarks.measuring import Benchmark, require
from tests.benchmarks.paper_trunk import (
    ACCELERATORS,
    CPU,
    Products,
    cameras,
    configure,
    pictures,
    square_rate,
    timed,
    untrained,
)

TRIPLETS, ROUNDS = 24, 4
GPU_TRIPLETS = 128


class PlainOpenClip:
    """The visual tower as open_clip builds it, at the paper's image size, with the weights of our trunk."""

    def __init__(self, dtype: torch.dtype) -> None:
        torch.manual_seed(0)
        self.tower = visual_tower(configure("clip-zero-shot").trunk)
        self.method = untrained("clip-zero-shot")
        trunk = self.method.trunk
        assert isinstance(trunk, nn.Module)
        names = {"class_token": "class_embedding", "projection": "proj"}
        for ours, theirs in names.items():
            setattr(self.tower, theirs, trunk.get_parameter(ours))
        self.tower.positional_embedding = trunk.get_parameter("position")
        self.tower.conv1, self.tower.ln_pre, self.tower.ln_post = trunk.patch, trunk.ln_pre, trunk.ln_post
        self.tower.transformer.resblocks = trunk.blocks  # type: ignore[union-attr]
        self.ready = inference_copy(self.method, CPU, dtype)
        self.tower = self.tower.to(dtype).eval()
        self.images, self.dtype = pictures(TRIPLETS), dtype
        self.stacked = torch.cat([self.images[m] for m in RNT])

    @torch.inference_mode()
    def plain(self) -> Tensor:
        features: Tensor = self.tower(self.stacked.to(self.dtype))
        return F.normalize(features.float(), dim=1)

    @torch.inference_mode()
    def ours(self) -> Tensor:
        encoded = self.ready.encode(self.images, cameras(TRIPLETS))
        return torch.cat([encoded[str(m)] for m in RNT])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_extraction_against_plain_open_clip(benchmark: Benchmark, precision: str) -> None:
    both = PlainOpenClip(DTYPES[precision])
    closeness = (both.plain() * both.ours()).sum(1).min().item()
    assert closeness > (1 - 1e-6 if precision == "fp32" else 0.99)
    plain: list[float] = []
    benchmark.pedantic(both.ours, setup=lambda: plain.append(timed(both.plain, CPU)), rounds=ROUNDS)
    ours = benchmark.stats["min"]
    benchmark.extra_info["triplets per second"] = round(TRIPLETS / ours, 2)
    benchmark.extra_info["of plain open_clip"] = round(TRIPLETS / min(plain), 2)
    benchmark.extra_info["smallest cosine between features"] = round(closeness, 6)
    what = f"speed of extraction against a plain open_clip forward of the same images, {precision}"
    require(benchmark, what, min(plain) / ours, 1.0, "times", least=True)


@pytest.mark.parametrize(
    ("device", "triplets", "share"), [(CPU, TRIPLETS, 0.7), *((gpu, GPU_TRIPLETS, 0.45) for gpu in ACCELERATORS)]
)
@pytest.mark.parametrize(("precision", "compiled"), [("fp32", False), ("bf16", False), ("bf16", True)])
def test_extraction_against_matrix_products(
    benchmark: Benchmark, device: torch.device, triplets: int, share: float, precision: str, compiled: bool
) -> None:
    """Operations are counted in the plain layers of fp32. On a CPU the share is required of what is the default."""
    dtype = DTYPES[precision]
    whole = untrained("mdreid")
    method = inference_copy(whole, device, dtype, compiled=compiled)
    images, where = pictures(triplets, device), cameras(triplets, device)
    with FlopCounterMode(display=False) as counted:
        inference_copy(whole, CPU, torch.float32).embed_all(pictures(1), cameras(1), subsets(RNT))
    products = Products(dtype) if device == CPU else Products(dtype, device, 3 * triplets * 130)
    alone: list[float] = []

    def all_products() -> None:
        alone.extend(timed(products, device) for _ in range(5))

    benchmark.pedantic(
        lambda: timed(lambda: method.embed_all(images, where, subsets(RNT)), device),
        setup=all_products,
        rounds=ROUNDS,
        warmup_rounds=1,
    )
    rate = triplets * counted.get_total_flops() / benchmark.stats["min"]
    limit = products.operations / min(alone)
    benchmark.extra_info["triplets per second"] = round(triplets / benchmark.stats["min"], 2)
    benchmark.extra_info["10^9 operations per second"] = round(rate / 1e9)
    benchmark.extra_info["of the trunk's products alone"] = round(limit / 1e9)
    benchmark.extra_info["of a square product of side 2048"] = round(square_rate(dtype, device) / 1e9)
    benchmark.extra_info["share of the limit"] = round(rate / limit, 3)
    if not compiled or device != CPU:
        how = f"{precision}{', compiled' * compiled} on {device.type}, {triplets} triplets"
        require(benchmark, f"share of the matrix-multiply limit, {how}", rate / limit, share, "of 1", least=True)


def test_bf16_against_fp32(benchmark: Benchmark) -> None:
    """One batch in both precisions by turns, features and all."""
    if not cpu_has_bf16():
        pytest.skip("this CPU has no instructions for bf16")
    whole = untrained("mdreid")
    exact, fast = (inference_copy(whole, CPU, DTYPES[name]) for name in ("fp32", "bf16"))
    images, where = pictures(TRIPLETS), cameras(TRIPLETS)
    slow: list[float] = []
    benchmark.pedantic(
        lambda: fast.embed_all(images, where, subsets(RNT)),
        setup=lambda: slow.append(timed(lambda: exact.embed_all(images, where, subsets(RNT)), CPU)),
        rounds=ROUNDS,
    )
    pairs = [m.embed_all(images, where, subsets(RNT)) for m in (exact, fast)]
    cosines = torch.cat([F.cosine_similarity(pairs[0][s], pairs[1][s]) for s in subsets(RNT)])
    benchmark.extra_info["smallest cosine between embeddings"] = round(cosines.min().item(), 5)
    what = "speed of bf16 against fp32, MDReID at the paper's size"
    require(benchmark, what, min(slow) / benchmark.stats["min"], 3.0, "times", least=True)
