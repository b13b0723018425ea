"""Packed parts equal the plain ones but for rounding, in which they are not worse; elsewhere nothing is packed."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mdreid_bench.config.schema import TrunkConfig
from mdreid_bench.models.trunk import packed as packed_module
from mdreid_bench.models.trunk.blocks import run_block
from mdreid_bench.models.trunk.inference_copy import inference_copy
from mdreid_bench.models.trunk.packed import PackedAttention, PackedMLP, PackedPatches, can_pack, pack
from mdreid_bench.models.trunk.tower_weights import visual_tower
from mdreid_bench.models.trunk.trunk import Trunk
from tests.models.test_blocks import BLOCKS, WIDTH
from tests.support import build

CPU, HALF = torch.device("cpu"), torch.bfloat16
PACKED = (PackedAttention, PackedMLP, PackedPatches)
packs = pytest.mark.skipif(not can_pack(CPU, HALF), reason="this CPU has no instructions for bf16 that oneDNN uses")


def _parts(module: nn.Module) -> int:
    return sum(isinstance(part, PACKED) for part in module.modules())


def _block(kind: str) -> Any:
    """Build a block in single precision whose parameters, biases included, are numbers of bf16."""
    torch.manual_seed(0)
    block: nn.Module = BLOCKS[kind]()
    for name, parameter in block.named_parameters():
        nn.init.normal_(parameter, mean=float(name.startswith("ln") and name.endswith("weight")), std=0.2)
        parameter.data = parameter.bfloat16().float()
    return block


def _error(found: Tensor, exact: Tensor) -> float:
    return (found.float() - exact).abs().mean().item()


@packs
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("keep", [2, None])
@pytest.mark.parametrize("kind", BLOCKS)
@torch.inference_mode()
def test_packed_blocks_round_no_worse(kind: str, keep: int | None, fused: bool) -> None:
    tokens = torch.randn(16, 33, WIDTH, generator=torch.Generator().manual_seed(1)).bfloat16()
    exact = run_block(_block(kind), tokens.float(), keep)
    plain = run_block(_block(kind).to(HALF), tokens.clone(), keep)
    block = _block(kind)
    pack(block)
    assert _parts(block) == {"gelu": 2, "quickgelu": 1, "layer-scale": 2, "custom": 0}[kind]
    if kind != "custom":
        block.attn.packed.fused = fused
    found = run_block(block.to(HALF), tokens.clone(), keep)
    assert found.dtype == HALF
    assert found.shape == exact.shape
    assert _error(found, exact) <= 1.2 * _error(plain, exact)
    torch.testing.assert_close(found.float(), exact, rtol=0.03, atol=0.03)


@packs
@pytest.mark.parametrize("height", [48, 53])
@torch.inference_mode()
def test_patches_are_those_of_the_convolution(height: int) -> None:
    torch.manual_seed(0)
    patch, images = nn.Conv2d(3, WIDTH, (8, 4), (8, 4)).bfloat16(), torch.randn(3, 3, height, 16).bfloat16()
    exact = patch.float()(images.float())
    found = PackedPatches(patch)(images)
    assert found.shape == (3, WIDTH, 6, 4)
    torch.testing.assert_close(found.float(), exact, rtol=0.01, atol=0.01)


@packs
def test_patches_that_overlap_stay_a_convolution() -> None:
    visual: Any = visual_tower(TrunkConfig(name="mdreid-tiny", pretrained=None, layers=1))
    visual.conv1.stride = (4, 4)
    trunk = Trunk(visual, (32, 32), cameras=1, shared_token=False)
    pack(trunk)
    assert isinstance(trunk.patch, nn.Conv2d)


@packs
def test_bf16_on_a_cpu_is_packed_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    method = build("mdreid", {"trunk": {"layers": 2}})
    assert _parts(inference_copy(method, CPU, HALF)) == 5
    for dtype in (torch.float32, torch.float16):
        assert _parts(inference_copy(method, CPU, dtype)) == 0
    assert _parts(inference_copy(method, CPU, HALF, compiled=True)) == 0
    assert not can_pack(torch.device("cuda"), HALF)
    monkeypatch.setattr(packed_module, "_OPERATIONS", ("_linear_pointwise", "_of_no_torch"))
    assert not can_pack(CPU, HALF)


@pytest.mark.parametrize("words", ["fpu avx2 avx512f", "fp asimd bf16", ""])
def test_other_cpus_compute_the_plain_parts(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    monkeypatch.setattr(packed_module, "cpu_words", lambda: frozenset(words.split()))
    assert _parts(inference_copy(build("mdreid", {"trunk": {"layers": 1}}), CPU, HALF)) == 0


@packs
@pytest.mark.parametrize("words", ["avx512_bf16", "avx512_bf16 amx_bf16"])
def test_attention_is_fused_where_a_cpu_has_matrix_instructions(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    monkeypatch.setattr(packed_module, "cpu_words", lambda: frozenset(words.split()))
    block = _block("gelu")
    pack(block)
    assert block.attn.packed.fused == ("amx_bf16" in words)
