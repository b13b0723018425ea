"""Checkpoints with the names of MFRNet's released code compute what docs/methods/mfrnet.md says of them."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import mdreid_bench
from mdreid_bench.cli.verify_session import published_under
from mdreid_bench.errors import UsageError
from mdreid_bench.models.method import Method
from mdreid_bench.weights.weights_file import recognise
from protocols.modality import RNT, subsets
from tests.baselines.literal import State, layer_norm, linear
from tests.baselines.mfrnet_literal import MFRNetInWords, Mixture
from tests.weights.checkpoints import random_state
from tests.weights.reference import patches_of

BASE = "BACKBONE.base."
SIZE = (64, 32)
CAMERA = torch.tensor([2, 1])
IMAGES = {m: torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(m.value)) for m in RNT}


def vehicles(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a checkpoint of RGBNT100: a head and a pooled feature for each sensor."""
    generator = torch.Generator().manual_seed(1)
    kept = {n: v for n, v in state.items() if not n.startswith(("classifier", "bottleneck"))}
    for letter in "rnt":
        kept |= {
            f"bottleneck_{letter}.{n}": torch.rand(512) for n in ("weight", "bias", "running_mean", "running_var")
        }
        kept[f"bottleneck_{letter}.num_batches_tracked"] = torch.tensor(1)
        kept[f"classifier_{letter}.weight"] = torch.rand(7, 512)
    for name in ("rgb", "nir", "tir"):
        shapes = {"0.weight": (1024,), "0.bias": (1024,), "1.weight": (512, 1024), "1.bias": (512,)}
        kept |= {f"{name}_reduce.{n}": 0.05 * torch.randn(s, generator=generator) for n, s in shapes.items()}
    return kept


def saved(folder: Path, state: dict[str, Tensor]) -> Path:
    torch.save(state, folder / "checkpoint.pth")
    return folder / "checkpoint.pth"


def mixture(s: State, prefix: str, first: str, second: str, residual: bool, capacity: float | None) -> Mixture:
    gate = f"{prefix}gates.0."
    names = ("cosine_projector.weight", "cosine_projector.bias", "sim_matrix", "temperature")
    a, b = s[f"{prefix}experts.{first}.weight"][..., 0], s[f"{prefix}experts.{second}.weight"][..., 0]
    layers = (a, s[f"{prefix}experts.{first}.bias"], b, s[f"{prefix}experts.{second}.bias"])
    return Mixture([s[gate + name] for name in names], [layers], residual, capacity)


def wanted(s: State, blocks: int, capacity: float | None, pooled: bool) -> dict[str, Tensor]:
    """Return the normalised feature of every subset."""
    pairs = ("RN", "RT", "NR", "NT", "TR", "TN")
    sensors = {"R": "rgb", "N": "nir", "T": "tir"}

    def pool(name: str, tokens: Tensor) -> Tensor:
        reduce = f"{sensors[name]}_reduce"
        joined = layer_norm(torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], 1), s, f"{reduce}.0")
        y = linear(joined, s, f"{reduce}.1")
        return y * torch.sigmoid(1.702 * y)

    words = MFRNetInWords(
        tower={name.removeprefix(BASE): value for name, value in s.items() if name.startswith(BASE)},
        blocks="transformer.resblocks",
        heads=12,
        depth=blocks,
        generate_a=mixture(s, f"{BASE}gfmoe.", "conv_1", "conv_2", False, capacity),
        generate_b=mixture(s, f"{BASE}gfmoe_2.", "conv_1", "conv_2", False, capacity),
        adapt=mixture(s, f"{BASE}transformer.resblocks.{blocks - 1}.smoe.", "conv_A", "conv_B", True, capacity),
        weights={p: (s[f"{BASE}glw_{p}.0.lw.weight"], s[f"{BASE}glw_{p}.0.lw.bias"]) for p in pairs},
        pool=pool if pooled else None,
    )
    first = s[BASE + "class_embedding"] + s["BACKBONE.cv_embed"][CAMERA, 0]
    x = {}
    for modality, images in IMAGES.items():
        patches = patches_of(images.double(), s[BASE + "conv1.weight"])
        x[str(modality)] = torch.cat([first[:, None], patches], 1) + s[BASE + "positional_embedding"]
    return {str(subset): F.normalize(words.feature(x, str(subset)), dim=1) for subset in subsets(RNT)}


def embedded(method: Method) -> dict[str, Tensor]:
    return {str(s): v.double() for s, v in method.embed_all(IMAGES, CAMERA, subsets(RNT)).items()}


@pytest.mark.parametrize(("capacity", "pooled"), [(1.0, False), (None, True)])
def test_all_subsets_equal_the_reference(tmp_path: Path, capacity: float | None, pooled: bool) -> None:
    state = random_state("mfrnet", blocks=2)
    state[f"{BASE}positional_embedding"] = state[f"{BASE}positional_embedding"][:9].clone()
    state = vehicles(state) if pooled else state
    path = saved(tmp_path, state)
    method = mdreid_bench.load_method(path, dataset="rgbnt201", options={"capacity": capacity})
    found = embedded(method)
    for subset, vectors in wanted({n: v.double() for n, v in state.items()}, 2, capacity, pooled).items():
        torch.testing.assert_close(found[subset], vectors, rtol=0, atol=1e-5)


def test_a_file_says_what_kind_of_features_and_heads_it_has(tmp_path: Path) -> None:
    persons = recognise(saved(tmp_path, random_state("mfrnet", blocks=1)))
    assert persons.options == {
        "independent_experts": False,
        "generators": 3,
        "adapters": 6,
        "global_local": False,
        "supervision": "joint",
    }
    (tmp_path / "other").mkdir()
    path = saved(tmp_path / "other", vehicles(random_state("mfrnet", blocks=1)))
    assert recognise(path).options | {"global_local": True, "supervision": "separate"} == recognise(path).options
    with pytest.raises(UsageError, match="independent_experts"):
        mdreid_bench.load_method(path, image_size=(256, 128), options={"independent_experts": True})


def test_verify_asks_for_the_capacity_of_the_published_figures(tmp_path: Path) -> None:
    assert published_under(recognise(saved(tmp_path, random_state("mfrnet", blocks=1)))) == ["options.capacity=1.0"]
    assert published_under(recognise(saved(tmp_path, random_state("mdreid", blocks=1)))) == []
