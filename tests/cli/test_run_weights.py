"""``run --weights`` with released checkpoints: the features of docs/methods, or the name of the fault."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from mdreid_bench.data.opening import open_dataset
from mdreid_bench.progress import Silent
from protocols.modality import RNT, Modality, subsets
from tests.cli.running import Outcome, environment, in_process
from tests.data.trees import plant
from tests.support import mostly_slow
from tests.weights.checkpoints import random_state
from tests.weights.reference import mdreid_tokens

BLOCKS = 1
SIZES = {"rgbnt201": (256, 128), "msvr310": (128, 256)}


@dataclass(frozen=True)
class Place:
    """Planted images of a dataset and where results go."""

    dataset: str
    root: Path
    environment: dict[str, str]

    @property
    def results(self) -> Path:
        return self.root / "results"

    def run(self, weights: Path, *arguments: str) -> Outcome:
        named = ("--dataset", self.dataset, "--data-root", str(self.root), "--results", str(self.results))
        return in_process(
            "run", *named, "--weights", str(weights), "--device", "cpu", *arguments, env=self.environment
        )


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Place]:
    def make(dataset: str) -> Place:
        root = tmp_path_factory.mktemp(dataset)
        plant(root, dataset)
        return Place(dataset, root, environment(MDREID_CACHE=str(root / "cache")))

    return make


def pixels(path: Path, size: tuple[int, int]) -> Tensor:
    """Read, resize and normalise one image, for testing (docs/methods/training.md, "Image transforms")."""
    image = Image.open(path).convert("RGB").resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(image).transpose(2, 0, 1) / 255.0 - 0.5) / 0.5


@pytest.mark.parametrize("dataset", mostly_slow(SIZES, ("msvr310",)))
def test_features_equal_the_reference(planted: Callable[[str], Place], dataset: str, tmp_path: Path) -> None:
    place, state = planted(dataset), random_state("mdreid", BLOCKS, identities=9, cameras=8)
    torch.save(state, tmp_path / "released.pth")
    done = place.run(
        tmp_path / "released.pth", "--limit", "10", "--set", "options.similarity=released", "--precision", "fp32"
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(Path(done.stdout.split()[-1]).read_text(encoding="utf-8"))
    assert (record["method"], record["selection"]) == ("mdreid", "best-test")
    assert record["trunk"] == "ViT-B-16-quickgelu/released.pth"

    exact = {name: value.double() for name, value in state.items()}
    index = open_dataset(dataset, place.root, Silent()).limited(10)
    camera = torch.from_numpy(index.test.labels.camera)
    tokens = {}
    for m in RNT:
        images = torch.stack([pixels(index.root / paths[m], SIZES[dataset]) for paths in index.test.images])
        tokens[m] = mdreid_tokens(exact, images, camera, BLOCKS)
    (folder,) = place.results.glob("runs/*/limit-10/embeddings")
    for subset in subsets(RNT):
        assert np.abs(np.load(folder / f"{subset}.npy") - released_vector(tokens, subset).numpy()).max() < 1e-5


def released_vector(tokens: dict[Modality, Tensor], subset: Modality) -> Tensor:
    zero = torch.zeros_like(tokens[next(iter(RNT))][:, 0])
    blocks = [tokens[m][:, kind] if m in subset else zero for kind in (0, 1) for m in RNT]
    return F.normalize(torch.cat(blocks, 1), dim=1)


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (open, (str(self.mark), "w"))


@pytest.fixture(scope="module")
def place(planted: Callable[[str], Place]) -> Place:
    return planted("msvr310")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"BACKBONE.base.proj": None}, "missing: BACKBONE.base.proj."),
        (
            {"bottleneck_n.bias": None, "bottleneck_n.bais": torch.zeros(512)},
            "missing: bottleneck_n.bias; unexpected",
        ),
        ({"BACKBONE.cv_embed": torch.zeros(8, 768)}, "BACKBONE.cv_embed is 8x768 instead of ?x1x768."),
    ],
)
def test_a_faulty_checkpoint_exits_3_with_the_name(
    place: Place, tmp_path: Path, change: dict[str, Tensor | None], message: str
) -> None:
    state = {**random_state("mdreid", BLOCKS, cameras=8), **change}
    torch.save({name: value for name, value in state.items() if value is not None}, tmp_path / "faulty.pth")
    done = place.run(tmp_path / "faulty.pth")
    assert (done.returncode, done.stdout) == (3, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not place.results.exists()


def test_a_pickle_with_code_exits_3_and_nothing_in_it_runs(place: Place, tmp_path: Path) -> None:
    state: dict[str, object] = dict(random_state("mdreid", BLOCKS, cameras=8))
    state["bomb"] = Bomb(tmp_path / "went-off")
    torch.save(state, tmp_path / "bomb.pth")
    done = place.run(tmp_path / "bomb.pth")
    assert done.returncode == 3
    assert "refused" in done.stderr
    assert not (tmp_path / "went-off").exists()
    assert not place.results.exists()


def test_weights_and_wishes_that_contradict_each_other(place: Place, tmp_path: Path) -> None:
    torch.save(random_state("mdreid", BLOCKS, cameras=4), tmp_path / "four.pth")
    done = place.run(tmp_path / "four.pth")
    assert done.returncode == 3
    assert "know 4 cameras" in done.stderr
    other = place.run(tmp_path / "four.pth", "--method", "single-classifier")
    assert other.returncode == 2
    assert "holds weights of mdreid, not of single-classifier" in other.stderr
