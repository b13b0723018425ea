"""Blocks computed for some tokens alone, in place or chunk by chunk, against open_clip's own forward pass."""

from functools import partial
from typing import Any

import pytest
import torch
from open_clip.transformer import CustomResidualAttentionBlock, QuickGELU, ResidualAttentionBlock
from torch import Tensor, nn

from mdreid_bench.config.schema import TrunkConfig
from mdreid_bench.models.trunk import trunk as trunk_module
from mdreid_bench.models.trunk.blocks import is_plain, run_block
from mdreid_bench.models.trunk.token_trunk import TokenTrunk
from mdreid_bench.models.trunk.tower_weights import visual_tower
from mdreid_bench.models.trunk.trunk import Trunk
from protocols.modality import RNT, subsets
from tests.support import SIZE, build
from tests.support import images as random_images

WIDTH, HEADS = 24, 3
CAMERA = torch.tensor([0, 2, 1, 0, 1])
BLOCKS: dict[str, Any] = {
    "gelu": partial(ResidualAttentionBlock, WIDTH, HEADS),
    "quickgelu": partial(ResidualAttentionBlock, WIDTH, HEADS, act_layer=QuickGELU),
    "layer-scale": partial(ResidualAttentionBlock, WIDTH, HEADS, ls_init_value=0.1),
    "custom": partial(CustomResidualAttentionBlock, WIDTH, HEADS, scale_attn=True, scale_heads=True),
}


def _block(kind: str) -> nn.Module:
    """Build a block whose every parameter is random, biases and scales included, with outputs of a few units."""
    torch.manual_seed(0)
    block: nn.Module = BLOCKS[kind]()
    for name, parameter in block.named_parameters():
        nn.init.normal_(parameter, mean=float(name.startswith("ln") and name.endswith("weight")), std=0.1)
    return block


def _random(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _gradients(output: Tensor, block: nn.Module, tokens: Tensor) -> dict[str, Tensor]:
    """Return the gradient of a random functional of the output, for the input and for every parameter."""
    named = {"tokens": tokens, **dict(block.named_parameters())}
    found = torch.autograd.grad((output * _random(*output.shape, seed=2)).sum(), list(named.values()))
    return dict(zip(named, found, strict=True))


def test_which_blocks_are_plain() -> None:
    assert {kind: is_plain(_block(kind)) for kind in BLOCKS} == {
        "gelu": True,
        "quickgelu": True,
        "layer-scale": True,
        "custom": False,
    }


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("keep", [1, 2, None])
def test_kept_tokens_and_gradients_equal_those_of_the_whole_block(kind: str, keep: int | None) -> None:
    block, tokens = _block(kind), _random(3, 7, WIDTH).requires_grad_()
    wanted, found = block(tokens)[:, :keep], run_block(block, tokens, keep)
    assert found.shape == (3, keep or 7, WIDTH)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)
    expected = _gradients(wanted, block, tokens)
    for name, gradient in _gradients(found, block, tokens).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-5, atol=1e-5, msg=name)


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("keep", [1, 2, None])
def test_without_gradient_the_result_is_the_same(kind: str, keep: int | None) -> None:
    block, tokens = _block(kind), _random(3, 7, WIDTH)
    with torch.inference_mode():
        wanted = block(tokens)[:, :keep]
        torch.testing.assert_close(run_block(block, tokens.clone(), keep), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("keep", [2, None])
def test_tokens_are_overwritten_only_when_no_gradient_is_recorded(keep: int | None) -> None:
    block, tokens = _block("gelu"), _random(3, 7, WIDTH)
    before = tokens.clone()
    run_block(block, tokens, keep)
    assert torch.equal(tokens, before)
    with torch.no_grad():
        found = run_block(block, tokens, keep)
    assert found.data_ptr() == tokens.data_ptr()
    assert torch.equal(tokens[:, found.shape[1] :], before[:, found.shape[1] :])


def _assert_exact(found: Tensor, wanted: Tensor) -> None:
    """Compare to 1e-6 of the largest value, which is that of a few units; float32 has seven digits."""
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6 * max(1.0, wanted.abs().max().item()))


def _trunk(leading: int, name: str = "mdreid-tiny") -> Trunk:
    torch.manual_seed(0)
    visual = visual_tower(TrunkConfig(name=name, pretrained=None, layers=2))
    return Trunk(visual, SIZE, cameras=3, shared_token=leading == 2, tie_shared_token=False).eval()


def _assembled(trunk: Trunk, images: Tensor, camera: Tensor) -> Tensor:
    """Assemble the tokens by the definition of their order."""
    tokens = [(trunk.class_token + trunk.camera_scale * trunk.camera[camera])[:, None]]
    if trunk.shared_token is not None:
        tokens.append(trunk.shared_token.expand(len(images), 1, -1))
    tokens.append(trunk.patch(images).flatten(2).transpose(1, 2))
    return torch.cat(tokens, dim=1) + trunk.position


def _whole(trunk: Trunk, tokens: Tensor) -> Tensor:
    """Send all tokens through open_clip's own blocks."""
    tokens = trunk.ln_pre(tokens)
    for block in trunk.blocks:
        tokens = block(tokens)
    output: Tensor = trunk.ln_post(tokens)[:, : trunk.leading] @ trunk.projection
    return output


@pytest.mark.parametrize("leading", [1, 2])
def test_trunk_equals_open_clips_whole_blocks(leading: int) -> None:
    trunk, images = _trunk(leading), _random(5, 3, *SIZE)
    wanted = _whole(trunk, _assembled(trunk, images, CAMERA))
    found = trunk(images, CAMERA)
    _assert_exact(found, wanted)
    expected = torch.autograd.grad(wanted.square().sum(), list(trunk.parameters()))
    gradients = torch.autograd.grad(found.square().sum(), list(trunk.parameters()))
    for gradient, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-5, atol=1e-5 * other.abs().max().item())
    with torch.inference_mode():
        _assert_exact(trunk(images, CAMERA), wanted)


@pytest.mark.parametrize("name", ["mdreid", "single-classifier", "clip-zero-shot"])
def test_methods_get_what_whole_blocks_give(name: str) -> None:
    method: Any = build(name).eval()
    images, camera = random_images(5), torch.zeros_like(CAMERA)
    with torch.inference_mode():
        found = method.embed_all(images, camera, subsets(RNT))
        method.trunk._transform = partial(_whole, method.trunk)
        wanted = method.embed_all(images, camera, subsets(RNT))
    for subset in subsets(RNT):
        _assert_exact(found[subset], wanted[subset])


@pytest.mark.parametrize("cached", [1, 20_000])
def test_chunks_of_images_change_nothing(cached: int, monkeypatch: pytest.MonkeyPatch) -> None:
    trunk, images = _trunk(2), _random(5, 3, *SIZE)
    with torch.inference_mode():
        together = trunk(images, CAMERA)
        monkeypatch.setattr(trunk_module, "CACHED_VALUES", cached)
        assert len(list(trunk._chunks(images, CAMERA))) == {1: 5, 20_000: 1 + 4 // (20_000 // (8 * 512))}[cached]
        _assert_exact(trunk(images, CAMERA), together)
    assert len(list(trunk._chunks(images, CAMERA))) == 1  # gradients want them together


def test_watched_chunks_equal_the_unwatched_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    visual = visual_tower(TrunkConfig(name="mdreid-tiny", pretrained=None, layers=2))
    trunk, images = TokenTrunk(visual, SIZE, cameras=3).eval(), _random(5, 3, *SIZE)
    with torch.inference_mode():
        whole, (tokens, rollout) = trunk(images, CAMERA), trunk.attended(images, CAMERA)
        monkeypatch.setattr(trunk_module, "CACHED_VALUES", 1)
        in_chunks, product = trunk.attended(images, CAMERA)
        _assert_exact(trunk(images, CAMERA), whole)
    _assert_exact(tokens, whole)
    _assert_exact(in_chunks, whole)
    _assert_exact(product, rollout)


def test_a_trunk_of_other_blocks_is_still_right() -> None:
    trunk, images = _trunk(2), _random(5, 3, *SIZE)
    torch.manual_seed(3)
    width = trunk.position.shape[1]
    trunk.blocks = nn.ModuleList([CustomResidualAttentionBlock(width, 4, scale_attn=True) for _ in range(2)])
    with torch.no_grad():
        wanted = _whole(trunk, _assembled(trunk, images, CAMERA))
        _assert_exact(trunk(images, CAMERA), wanted)
