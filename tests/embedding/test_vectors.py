"""What a method returns is one finite vector of one length for each item, or it is refused by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.random_scorer import RandomScorer
from mdreid_bench.embedding.extract import Embedder, derive
from mdreid_bench.embedding.stored import EmbeddingFolder
from mdreid_bench.embedding.vectors import check_contract
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.models.method import Encoded, Images
from mdreid_bench.progress import Silent
from protocols.modality import RNT, Modality, N, R, T, subsets
from tests.evaluation.stored import ITEMS, WIDTH, store
from tests.support import images, small_config

NAMES = np.array(["a", "b", "c", "d"])
CPU = torch.device("cpu")


class Embeds(RandomScorer):
    """Embeds as a test wants it."""

    def __init__(self, change: Callable[[Tensor, Modality], Any]) -> None:
        super().__init__()
        self.change = change

    def encode(self, images: Images, camera: Tensor) -> Encoded:
        return {str(m): x.mean((2, 3)) for m, x in images.items()}

    def embed(self, encoded: Encoded, available: Modality) -> Any:
        return self.change(torch.stack([encoded[str(m)] for m in available]).sum(0), available)


def embedded(change: Callable[[Tensor, Modality], Any], batch: int = 4) -> dict[Modality, Any]:
    config = small_config("random", {"evaluation": {"batch_size": batch}})
    embedder = Embedder(Embeds(change), CPU, config, Silent())
    pixels = {m: x.mul(60).add(128).clamp(0, 255).to(torch.uint8) for m, x in images(4).items()}
    return embedder(pixels, torch.zeros(4, dtype=torch.int64), NAMES, subsets(RNT))


CASES: dict[str, tuple[Callable[[Tensor, Modality], Any], str]] = {
    "one row too many": (
        lambda x, _: torch.cat([x, x[:1]]),
        r"the shape \(5, 3\), which must be one vector for",
    ),
    "columns as rows": (lambda x, _: x.T, r"the shape \(3, 4\), which must be one vector"),
    "flat": (lambda x, _: x.flatten(), r"the shape \(12,\)"),
    "a number": (lambda x, _: x.sum(), r"the shape \(\)"),
    "longer for two sensors": (
        lambda x, s: torch.cat([x] * len(s), dim=1),
        "for RN it returned vectors of 6 numbers, which must be as many as for other sensors and items, 3",
    ),
    "empty": (lambda x, _: x[:, :0], "vectors of 0 numbers, which is empty"),
    "integers": (lambda x, _: x.long(), r"torch\.int64, which must be a tensor of floating point"),
    "an array": (lambda x, _: x.numpy(), "ndarray, which must be a tensor"),
    "nothing": (lambda x, s: None, "nothing, which must be a tensor"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_no_vector_for_each_item_is_refused(case: str) -> None:
    change, said = CASES[case]
    with pytest.raises(UsageError, match=said) as caught:
        embedded(change)
    assert str(caught.value).startswith("The method random of the package tests breaks its contract: for ")


class Recalls(Embeds):
    """Needs images of every sensor, and hands all of them on."""

    def encode(self, images: Images, camera: Tensor) -> Encoded:
        return super().encode({m: images[m] for m in RNT}, camera)


DEPENDENT: dict[str, tuple[Callable[[Tensor, Modality], Any], str]] = {
    "the batch": (
        lambda x, _: x - x.mean(0) + len(x),
        "for R it returned another vector beside another item, which must",
    ),
    "the size of the batch": (
        lambda x, _: x * len(x),
        "another vector beside another item, which must depend on its own",
    ),
    "its own": (lambda x, _: x, ""),
}


@pytest.mark.parametrize("case", DEPENDENT)
def test_a_vector_depends_on_its_own_item_alone(case: str) -> None:
    change, said = DEPENDENT[case]
    method = Embeds(change).train()
    if said:
        with pytest.raises(UsageError, match=said):
            check_contract(method, RNT, (16, 8))
    else:
        check_contract(method, RNT, (16, 8))
    assert method.training


def test_a_vector_depends_on_the_sensors_asked_for_alone() -> None:
    class Peeks(Embeds):
        def embed(self, encoded: Encoded, available: Modality) -> Any:
            return torch.stack(list(encoded.values())).sum(0)

    with pytest.raises(
        UsageError, match="for N it returned another vector with another image of R, which must depend"
    ):
        check_contract(Peeks(lambda x, _: x), RNT, (16, 8))
    with pytest.raises(KeyError):
        check_contract(Recalls(lambda x, _: x), RNT, (16, 8))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_vector_that_is_not_finite_is_named(value: float) -> None:
    def spoil(x: Tensor, subset: Modality) -> Tensor:
        return x.masked_fill((torch.arange(len(x)) == 2)[:, None] & (subset == (N | T)), value)

    with pytest.raises(DataError, match="The embedding of c by random for NT is not finite"):
        embedded(spoil)


def test_rows_keep_their_places_whatever_the_memory_behind_them() -> None:
    """Strided vectors, one memory for all batches, and 64 bits."""
    shared = {subset: torch.empty(1, 3) for subset in subsets(RNT)}
    wanted = embedded(lambda x, _: x)
    for change in (
        lambda x, _: x.repeat_interleave(2, dim=1)[:, ::2],
        lambda x, s: shared[s].copy_(x),
        lambda x, _: x.double(),
    ):
        found = embedded(change, batch=1)
        for subset in subsets(RNT):
            assert found[subset].dtype == np.float32
            np.testing.assert_array_equal(found[subset], wanted[subset])


def test_lengths_are_the_same_for_all_batches() -> None:
    seen: list[int] = []

    def growing(x: Tensor, subset: Modality) -> Tensor:
        seen.extend([1] if subset == R else [])
        return torch.cat([x] * len(seen), dim=1)

    with pytest.raises(UsageError, match="for R it returned vectors of 6 numbers"):
        embedded(growing, batch=2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: x[1:], rf"random of the package baselines .* the shape \({ITEMS - 1}, {WIDTH}\)"),
        (lambda x: x.flatten(), "the shape"),
        (lambda x: x[:, : 1 + int(x.sum()) % 5], "must be as many as for other sensors"),
        (lambda x: x.numpy(), "ndarray"),
        (lambda x: x * np.inf, "is not finite"),
    ],
)
def test_what_a_method_derives_is_checked_too(tmp_path: Path, change: Callable[[Tensor], Any], said: str) -> None:
    source, target = store(tmp_path / "source").folder, EmbeddingFolder(tmp_path / "a-run" / "full" / "embeddings")
    with pytest.raises((UsageError, DataError), match=said):
        derive(RandomScorer, source, target, change)
    assert not target.items_file.exists()
    assert not target.matrix(R).exists()


def test_items_without_a_sensor_stay_without_a_vector(tmp_path: Path) -> None:
    stored, target = store(tmp_path / "source"), EmbeddingFolder(tmp_path / "a-run" / "full" / "embeddings")
    table = stored.changed(lambda x: np.concatenate([x[:1] * np.nan, x[1:]]))
    derive(RandomScorer, stored.folder, target, lambda x: 2 * x[:, :3])
    found = target.load(R, target.read_items())
    assert np.isnan(found[0]).all()
    assert np.array_equal(found[1:], 2 * stored.folder.load(R, table)[1:, :3])
