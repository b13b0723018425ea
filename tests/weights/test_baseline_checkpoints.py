"""Released TOP-ReID and EDITOR checkpoints compute what docs/methods says of them."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import mdreid_bench
from mdreid_bench.models.method import Method
from protocols.modality import RNT, Modality
from tests.weights.checkpoints import random_state
from tests.weights.reference import editor_feature, permuted, reconstructed, vit

BLOCKS = 1
CAMERA = torch.tensor([2, 1])
IMAGES = {m: torch.randn(2, 3, 256, 128, generator=torch.Generator().manual_seed(m.value)) for m in RNT}
SPECTRA = {"R": "RGB", "N": "NI", "T": "TI"}


def loaded(form: str, folder: Path) -> tuple[Method, dict[str, Tensor]]:
    """Write a checkpoint in half precision, to save time and room; load it, and return its values in float64."""
    state = random_state(form, BLOCKS, dtype=torch.float16)
    torch.save(state, folder / "checkpoint.pth")
    return mdreid_bench.load_method(folder / "checkpoint.pth"), {n: v.double() for n, v in state.items()}


def embedded(method: Method, subset: Modality) -> Tensor:
    return method.embed_all({m: IMAGES[m] for m in subset}, CAMERA, (subset,))[subset].double()


@pytest.fixture(scope="module")
def top_reid(tmp_path_factory: pytest.TempPathFactory) -> tuple[Method, dict[str, Tensor]]:
    return loaded("top_reid", tmp_path_factory.mktemp("top-reid"))


def tokens(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {str(m): vit(state, f"{SPECTRA[str(m)]}.base", x.double(), CAMERA, BLOCKS)[0] for m, x in IMAGES.items()}


def test_top_reid_equals_the_reference(top_reid: tuple[Method, dict[str, Tensor]]) -> None:
    method, state = top_reid
    seen = tokens(state)
    made = {name: reconstructed(state, name, seen[name[0]]) for name in ("RGBRE.re2", "NIRE.re1", "NIRE.re2")}
    complete = {
        RNT: seen,
        Modality.R | Modality.N: seen | {"T": (made["RGBRE.re2"] + made["NIRE.re2"]) / 2},
        Modality.N: {"R": made["NIRE.re1"], "N": seen["N"], "T": made["NIRE.re2"]},
    }
    for subset, filled_in in complete.items():
        wanted = F.normalize(permuted(state, filled_in), dim=1)
        assert torch.allclose(embedded(method, subset), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("dataset", "heads"),
    [("rgbnt201", {"all": "bottleneck_ViT"}), ("msvr310", {m: f"{SPECTRA[m]}.bottleneck" for m in "RNT"})],
)
def test_the_heads_of_the_supervision_are_kept(
    top_reid: tuple[Method, dict[str, Tensor]], dataset: str, heads: dict[str, str]
) -> None:
    method, state = top_reid
    form = method.released
    assert form is not None
    supervision = "joint" if "all" in heads else "separate"
    kept = form.converted(state, {"supervision": supervision})
    assert {name.split(".")[2] for name in kept if name.startswith("supervision.")} == set(heads)
    for head, released in heads.items():
        assert torch.equal(kept[f"supervision.heads.{head}.norm.running_mean"], state[f"{released}.running_mean"])


def test_editor_equals_the_reference(tmp_path: Path) -> None:
    method, state = loaded("editor", tmp_path)
    wanted = editor_feature(state, {str(m): x.double() for m, x in IMAGES.items()}, CAMERA, BLOCKS)
    assert torch.allclose(embedded(method, RNT), F.normalize(wanted, dim=1), atol=1e-5)
    centres = method.state_dict()["centres.centres"]
    assert torch.equal(centres[2].double(), state["FUSE_block.memory_cls.TIR_centers"])
    assert torch.equal(
        method.state_dict()["supervision.heads.all.classifier.weight"].double(), state["AL_HEAD.weight"]
    )
