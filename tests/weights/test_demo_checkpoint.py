"""Checkpoints with the names of DeMo's released code compute what docs/methods/demo.md says of them."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import mdreid_bench
from mdreid_bench.errors import DataError
from mdreid_bench.weights.weights_file import recognise
from protocols.modality import RNT, subsets
from tests.baselines.demo_literal import BASE, SUBSETS, vector
from tests.baselines.literal import State
from tests.support import mostly_slow
from tests.weights.checkpoints import random_state

BLOCKS = 1
CAMERA = torch.tensor([2, 1])
IMAGES = {m: torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(m.value)) for m in RNT}


def checkpoint() -> dict[str, Tensor]:
    """Return a checkpoint for images of eight patches, with statistics that a normalisation can have."""
    state = random_state("demo", BLOCKS)
    state[BASE + "positional_embedding"] = state[BASE + "positional_embedding"][:9].clone()
    return {n: v.abs() + 0.5 if n.endswith("running_var") else v for n, v in state.items()}


def vehicles(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a checkpoint of RGBNT100 or MSVR310: eight heads, and heads of classification by sensor."""
    generator, experts = torch.Generator().manual_seed(1), "generalFusion.moe.experts."
    kept = {n: v for n, v in state.items() if not n.startswith((experts, "classifier.", "bottleneck."))}
    for head in range(8):
        for number in range(7):
            p = f"{experts}{head}.expertHead.{number}.mlp."
            kept[f"{p}0.weight"] = 0.05 * torch.randn(64, 64, generator=generator)
            for name in ("0.bias", "2.weight", "2.bias", "2.running_mean", "2.running_var"):
                kept[p + name] = torch.rand(64, generator=generator) + 0.5
            kept[f"{p}2.num_batches_tracked"] = torch.tensor(3)
    for letter in "rnt":
        kept[f"classifier_{letter}.weight"] = torch.rand(7, 512)
        names = ("weight", "bias", "running_mean", "running_var")
        kept |= {f"bottleneck_{letter}.{name}": torch.rand(512) for name in names}
        kept[f"bottleneck_{letter}.num_batches_tracked"] = torch.tensor(3)
    return kept


def saved(folder: Path, state: dict[str, Tensor]) -> Path:
    torch.save(state, folder / "checkpoint.pth")
    return folder / "checkpoint.pth"


def wanted(s: State, available: str, heads: int, feature: str = "both", left_out: bool = False) -> Tensor:
    shown = {str(m): x.double() if str(m) in available else torch.zeros_like(x.double()) for m, x in IMAGES.items()}
    ori, moe = vector(s, shown, CAMERA, BLOCKS, heads)
    pooled = list(ori.chunk(3, 1))
    if left_out:
        pooled = [x if m in available else 0 * x for m, x in zip("RNT", pooled, strict=True)]
        moe = {subset: x if set(subset) & set(available) else 0 * x for subset, x in moe.items()}
    parts = {"ori": pooled, "moe": list(moe.values())}
    chosen = parts["ori"] + parts["moe"] if feature == "both" else parts[feature]
    return F.normalize(torch.cat(chosen, 1), dim=1)


@pytest.mark.parametrize("heads", mostly_slow((4, 8), (8,)))
def test_all_subsets_equal_the_reference(tmp_path: Path, heads: int) -> None:
    state = checkpoint() if heads == 4 else vehicles(checkpoint())
    path = saved(tmp_path, state)
    given = recognise(path)
    assert given.options == {"heads": heads, "supervision": "joint" if heads == 4 else "separate"}
    method = mdreid_bench.load_method(path, dataset="rgbnt201")
    s = {name: value.double() for name, value in state.items()}
    found = method.embed_all(IMAGES, CAMERA, subsets(RNT))
    assert tuple(map(str, found)) == SUBSETS
    for subset, vectors in found.items():
        assert vectors.shape == (2, 5120)
        torch.testing.assert_close(vectors.double(), wanted(s, str(subset), heads), rtol=0, atol=1e-5)


PARTS = (("ori", False), ("moe", False), ("both", True), ("moe", True))


@pytest.mark.parametrize(("feature", "left_out"), mostly_slow(PARTS, PARTS[-1:]))
def test_parts_of_the_vector_can_be_chosen(tmp_path: Path, feature: str, left_out: bool) -> None:
    state = checkpoint()
    options = {"feature": feature, "missing": "left_out" if left_out else "zero_image"}
    method = mdreid_bench.load_method(saved(tmp_path, state), dataset="rgbnt201", options=options)
    s = {name: value.double() for name, value in state.items()}
    for subset, vectors in method.embed_all(IMAGES, CAMERA, subsets(RNT)).items():
        expected = wanted(s, str(subset), 4, feature, left_out)
        torch.testing.assert_close(vectors.double(), expected, rtol=0, atol=1e-5)


def test_a_file_that_lacks_a_head_of_experts_is_refused(tmp_path: Path) -> None:
    state = {n: v for n, v in vehicles(checkpoint()).items() if ".experts.7." not in n}
    with pytest.raises(DataError, match="do not fit demo: misshapen: mixture"):
        mdreid_bench.load_method(saved(tmp_path, state), dataset="rgbnt201")
