"""The copy that embeds equals the method: in fp32 but for rounding, in half precision within stated bounds."""

import copy
import shutil
from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest
import torch
from open_clip.transformer import QuickGELU
from torch import Tensor, nn

from mdreid_bench.embedding.extract import ready
from mdreid_bench.errors import UsageError
from mdreid_bench.models import registry
from mdreid_bench.models.method import Method
from mdreid_bench.models.trunk.inference_copy import inference_copy
from protocols.modality import RNT, Modality, subsets
from tests.support import build, images, mostly_slow, small_config, without_near_ties

CPU = torch.device("cpu")
CAMERAS = torch.tensor([0, 1, 2, 0, 1, 2])
METHODS = registry.names()
TRUNKS: dict[str, Mapping[str, Any]] = {
    name: {"trunk": {"name": name, "layers": 1, "pretrained": None}}
    for name in ("ViT-B-16-quickgelu", "ViT-B-16", "vit-b-16-imagenet")
}
OF_DISTANCE = {torch.bfloat16: 0.1, torch.float16: 0.01}
"""Largest error of an embedding, as a share of the distance to the nearest other item."""

DTYPES = [*product(METHODS, (torch.bfloat16,)), *product(METHODS, (torch.float16,))]
IN_FP16 = {*product(("man", "mdreid"), (torch.float16,))}
"""A CPU computes it slowly, and one method of each kind of trunk shows what is peculiar to it."""

Embeddings = Mapping[Modality, Tensor]


def _embed(method: Method, seed: int = 0) -> Embeddings:
    return method.embed_all(images(6, seed), CAMERAS, subsets(RNT))


def _served(name: str) -> list[Modality]:
    """Return the subsets that a method compares items by."""
    card = registry.card(name)
    return [s for s in subsets(RNT) if card.unserved(s, card.options_model().model_dump(), RNT) is None]


def _close(found: Embeddings, wanted: Embeddings) -> None:
    for subset in subsets(RNT):
        assert found[subset].dtype == torch.float32
        torch.testing.assert_close(found[subset], wanted[subset], rtol=0, atol=1e-6, msg=f"{subset}")


@pytest.mark.parametrize("name", METHODS)
def test_fp32_copy_equals_the_method(name: str) -> None:
    method = build(name).eval()
    _close(_embed(inference_copy(method, CPU, torch.float32)), _embed(method))


@pytest.mark.parametrize("trunk", TRUNKS)
@pytest.mark.parametrize("name", ["mdreid", "single-classifier"])
def test_fp32_copy_of_large_trunks_equals_the_method(name: str, trunk: str) -> None:
    method = build(name, TRUNKS[trunk]).eval()
    copied = inference_copy(method, CPU, torch.float32)
    _close(_embed(copied), _embed(method))
    quick = [sum(isinstance(m, QuickGELU) for m in which.modules()) for which in (method, copied)]
    assert quick == [int(trunk == "ViT-B-16-quickgelu"), 0]


@pytest.mark.parametrize(("name", "dtype"), mostly_slow(DTYPES, {*DTYPES[: len(METHODS)], *IN_FP16}), ids=str)
def test_half_precision_copies_stay_near(name: str, dtype: torch.dtype) -> None:
    method = build(name, {"options": without_near_ties(name)}).eval()
    copied = inference_copy(method, CPU, dtype)
    assert all(p.dtype == dtype for p in copied.parameters())
    wanted, found = _embed(method), _embed(copied)
    for subset in _served(name):
        vectors, exact = found[subset], wanted[subset]
        assert vectors.dtype == torch.float32
        assert torch.isfinite(vectors).all()
        assert torch.cosine_similarity(vectors, exact).min() >= 0.99
        nearest = (torch.cdist(exact, exact) + torch.diag(torch.full((6,), torch.inf))).min(dim=1).values
        assert ((vectors - exact).norm(dim=1) <= OF_DISTANCE[dtype] * nearest).all()


@pytest.mark.parametrize("dtype", [pytest.param(torch.float32, marks=pytest.mark.slow), torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", METHODS)
def test_the_method_stays_as_it_is(name: str, dtype: torch.dtype) -> None:
    method = build(name).train()
    wanted, state = _embed(copy.deepcopy(method).eval()), copy.deepcopy(method.state_dict())
    trained = {n for n, p in method.named_parameters() if p.requires_grad}
    kinds = [type(module) for module in method.modules()]
    copied = inference_copy(method, CPU, dtype)
    _embed(copied)
    assert method.training
    assert not copied.training
    assert not any(p.requires_grad for p in copied.parameters())
    assert {n for n, p in method.named_parameters() if p.requires_grad} == trained
    assert [type(module) for module in method.modules()] == kinds
    assert list(method.state_dict()) == list(state)
    for entry, value in method.state_dict().items():
        assert value.dtype == state[entry].dtype
        assert torch.equal(value, state[entry])
    found = _embed(method.eval())
    assert all(torch.equal(found[subset], wanted[subset]) for subset in subsets(RNT))


@pytest.mark.parametrize("name", METHODS)
def test_nothing_that_was_kept_for_other_weights_is_used(name: str) -> None:
    method, other = build(name, seed=1).eval(), build(name, seed=2).eval()
    _embed(method)
    method.load_state_dict(other.state_dict())
    _close(_embed(inference_copy(method, CPU, torch.float32)), _embed(other))


@pytest.mark.parametrize("name", METHODS)
def test_present_images_suffice_in_half_precision(name: str) -> None:
    copied = inference_copy(build(name), CPU, torch.bfloat16)
    together = _embed(copied)
    for subset in _served(name):
        present = {m: x for m, x in images(6).items() if m in subset}
        alone = copied.embed_all(present, CAMERAS, (subset,))[subset]
        assert torch.cosine_similarity(alone, together[subset]).min() >= 0.999


def test_blocks_within_other_modules_are_right_too() -> None:
    method: Any = build("mdreid").eval()
    method.trunk.blocks[1] = nn.Sequential(method.trunk.blocks[1])
    copied: Any = inference_copy(method, CPU, torch.float32)
    assert isinstance(copied.trunk.blocks[0].mlp.gelu, nn.SiLU)
    _close(_embed(copied), _embed(method))


def test_compiling_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_: None)
    config = small_config("mdreid", {"evaluation": {"compile": True}})
    with pytest.raises(UsageError, match="--compile needs a C\\+\\+ compiler"):
        ready(build("mdreid"), config, CPU)
    ready(build("mdreid"), small_config("mdreid"), CPU)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
@pytest.mark.parametrize("name", ["mdreid", "top-reid", "editor", "mfrnet", "demo"])
def test_compiled_copy_equals_the_plain_one(name: str) -> None:
    method = build(name, {"trunk": {"layers": 2}})
    compiled = inference_copy(method, CPU, torch.float32, compiled=True)
    _close(_embed(compiled), _embed(method.eval()))
    few = {m: x[:2] for m, x in images(6).items()}
    found, wanted = (each.embed_all(few, CAMERAS[:2], subsets(RNT)) for each in (compiled, method))
    _close(found, wanted)
