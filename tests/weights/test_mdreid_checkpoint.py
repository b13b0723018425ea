"""A checkpoint with the released names computes what docs/methods/mdreid.md says, for both image shapes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import mdreid_bench
from mdreid_bench.models.mdreid.method import MDReID
from mdreid_bench.weights.convert import convert
from protocols.modality import RNT, Modality, subsets
from tests.data.trees import Recorder
from tests.support import mostly_slow
from tests.weights.checkpoints import random_state
from tests.weights.reference import mdreid_tokens

BLOCKS = 2
CAMERA = torch.tensor([3, 0])
SHAPES = {"rgbnt201": (256, 128), "msvr310": (128, 256)}


@dataclass(frozen=True)
class Case:
    """Images of one shape, and the vectors that the reference gives for them."""

    path: Path
    dataset: str
    images: Mapping[Modality, Tensor]
    tokens: Mapping[Modality, Tensor]

    def folded(self, similarity: str, subset: Modality) -> Tensor:
        """The vectors of a subset laid out for retrieval, in float64."""
        specific = {m: self.tokens[m][:, 0] for m in subset}
        shared = {m: self.tokens[m][:, 1] for m in subset}
        zero = torch.zeros_like(next(iter(specific.values())))
        if similarity == "released":
            blocks = [side.get(m, zero) for side in (specific, shared) for m in RNT]
            return F.normalize(torch.cat(blocks, 1), dim=1)
        unit = [F.normalize(specific[m], dim=1) if m in subset else zero for m in RNT]
        total = sum((F.normalize(v, dim=1) for v in shared.values()), zero)
        return torch.cat([*unit, total], 1) / (2**0.5 * len(subset))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("released") / "MDReID.pth"
    torch.save({f"module.{name}": value for name, value in random_state("mdreid", BLOCKS).items()}, path)
    return path


@pytest.fixture(scope="module", params=SHAPES)
def case(request: pytest.FixtureRequest, checkpoint: Path) -> Case:
    generator = torch.Generator().manual_seed(1)
    images = {m: torch.randn(2, 3, *SHAPES[request.param], generator=generator) for m in RNT}
    state = {name: value.double() for name, value in random_state("mdreid", BLOCKS).items()}
    tokens = {m: mdreid_tokens(state, x.double(), CAMERA, BLOCKS) for m, x in images.items()}
    return Case(checkpoint, request.param, images, tokens)


@pytest.mark.parametrize(
    ("case", "similarity"),
    [
        ("rgbnt201", "paper"),
        ("msvr310", "released"),
        pytest.param("rgbnt201", "released", marks=pytest.mark.slow),
        pytest.param("msvr310", "paper", marks=pytest.mark.slow),
    ],
    indirect=["case"],
)
def test_every_subset_equals_the_reference(case: Case, similarity: str) -> None:
    method = mdreid_bench.load_method(case.path, dataset=case.dataset, options={"similarity": similarity})
    assert method.config is not None
    assert method.config.image_size == SHAPES[case.dataset]
    assert not method.training
    encoded = method.encode(case.images, CAMERA)
    for m in RNT:
        assert torch.allclose(encoded[str(m)].double(), case.tokens[m], atol=1e-5)
    for subset in subsets(RNT):
        found = method.embed(method.encode({m: case.images[m] for m in subset}, CAMERA), subset)
        assert torch.allclose(found.double(), case.folded(similarity, subset), atol=1e-5)


@pytest.mark.parametrize("case", mostly_slow(SHAPES, ("msvr310",)), indirect=True)
def test_converted_weights_need_no_further_word(case: Case, tmp_path: Path) -> None:
    recorder = Recorder()
    facts = convert(case.path, tmp_path / "own.safetensors", case.dataset, reporter=recorder)
    assert recorder.totals == [3] == [recorder.done]
    assert (facts.identities, facts.cameras, facts.selection, facts.trunk.layers) == (7, 4, "best-test", BLOCKS)
    method = mdreid_bench.load_method(tmp_path / "own.safetensors")
    found = method.embed_all(case.images, CAMERA, subsets(RNT))
    for subset in subsets(RNT):
        assert torch.allclose(found[subset].double(), case.folded("paper", subset), atol=1e-5)


def test_the_heads_are_kept_but_for_those_that_were_never_trained(checkpoint: Path) -> None:
    state = random_state("mdreid", BLOCKS)
    method = mdreid_bench.load_method(checkpoint)
    assert isinstance(method, MDReID)
    own = method.state_dict()
    for released, here in (("r", "specific_heads.R"), ("t", "specific_heads.T"), ("s", "shared_head")):
        assert torch.equal(own[f"{here}.classifier.weight"], state[f"classifier_{released}.weight"])
        assert torch.equal(own[f"{here}.norm.running_var"], state[f"bottleneck_{released}.running_var"])
    assert own["specific_heads.N.norm.num_batches_tracked"] == 3
    assert not any(value.shape[-1:] == (1024,) for value in own.values())


def test_tokens_that_differ_are_two_parameters(tmp_path: Path) -> None:
    state = random_state("mdreid", blocks=1)
    state["BACKBONE.base.add_image_token"] += 0.5
    torch.save(state, tmp_path / "two.pth")
    method = mdreid_bench.load_method(tmp_path / "two.pth")
    images = {m: torch.randn(1, 3, 256, 128, generator=torch.Generator().manual_seed(2)) for m in tuple(RNT)[:1]}
    wanted = mdreid_tokens({n: v.double() for n, v in state.items()}, images[next(iter(RNT))].double(), CAMERA[:1], 1)
    assert torch.allclose(method.encode(images, CAMERA[:1])["R"].double(), wanted, atol=1e-5)
    assert method.config is not None
    assert method.config.options["tie_shared_token"] is False


def test_patches_that_overlap_are_those_of_the_checkpoint(tmp_path: Path) -> None:
    """210 rows for patches: 21 x 10 of an image of 256x128, 12 pixels apart."""
    state = random_state("mdreid", 1)
    state["BACKBONE.base.positional_embedding"] = torch.randn(212, 768, generator=torch.Generator().manual_seed(2))
    torch.save(state, tmp_path / "stride12.pth")
    method = mdreid_bench.load_method(tmp_path / "stride12.pth", dataset="rgbnt201")
    assert isinstance(method, MDReID)
    assert method.config is not None
    assert (method.config.trunk.stride, method.config.image_size) == (12, (256, 128))
    image = torch.randn(2, 3, 256, 128, generator=torch.Generator().manual_seed(1))
    wanted = mdreid_tokens({n: v.double() for n, v in state.items()}, image.double(), CAMERA, 1, stride=12)
    with torch.inference_mode():
        assert (method.trunk(image, CAMERA) - wanted).abs().max() < 1e-5
    convert(tmp_path / "stride12.pth", tmp_path / "own.safetensors", "rgbnt201")
    again = mdreid_bench.load_method(tmp_path / "own.safetensors")
    with torch.inference_mode():
        assert isinstance(again, MDReID)
        assert torch.equal(again.trunk(image, CAMERA), method.trunk(image, CAMERA))
