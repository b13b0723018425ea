"""A batch piece by piece gives the loss terms and gradients of the batch at once."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mdreid_bench.config.schema import MemoryConfig, Precision, RunConfig
from mdreid_bench.errors import UsageError
from mdreid_bench.losses.triplet import soft_margin_triplet
from mdreid_bench.models import registry
from mdreid_bench.models.method import Cameras, DataFacts, Encoded, Images, Method, TrainingBatch
from mdreid_bench.processes.ranks import ALONE
from mdreid_bench.training.forward import Forward
from protocols.modality import RNT
from tests.support import build, mostly_slow, small_config, training_batch, without_chance

SEPARABLE = ("demo", "editor", "mdreid", "mfrnet", "single-classifier", "top-reid")
"""Our own: the tests ask for double precision and batch normalisation too, which is no part of the contract."""
SAVINGS = [
    MemoryConfig(micro_batch=pieces, checkpointing=again)
    for pieces in (None, 1, 2, 3)
    for again in (False, True)
    if pieces or again
]
EACH = mostly_slow(SAVINGS, [saving for saving in SAVINGS if saving.micro_batch != 2])
"""Two pieces are between one, and three, of which the last is smaller."""
Result = tuple[dict[str, Tensor], dict[str, Tensor]]


def _label(memory: MemoryConfig) -> str:
    return f"{memory.micro_batch or 'whole'}{'-again' if memory.checkpointing else ''}"


def _built(name: str, drop_path: float = 0.0) -> Method:
    """Build a method with two blocks; random branches that are left out depend on the order of the work."""
    chance = without_chance(name)
    options = chance | {"drop_path": drop_path} if "drop_path" in chance else chance
    return build(name, {"trunk": {"layers": 2}, "options": options}).train()


def _forward(method: Method, memory: MemoryConfig, precision: Precision = "fp32") -> Forward:
    config = small_config(method.card.name).model_copy(update={"memory": memory})
    return Forward(method, config, precision, ALONE)


def _result(method: Method, memory: MemoryConfig, precision: Precision = "fp32", seed: int = 0) -> Result:
    """Return loss terms and gradients of a copy of the method on a batch of eight items."""
    copied = copy.deepcopy(method)
    torch.manual_seed(seed)
    terms = _forward(copied, memory, precision)(training_batch())
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    gradients = {name: p.grad for name, p in copied.named_parameters() if p.grad is not None}
    return {name: term.detach() for name, term in terms.items()}, gradients


def _assert_same(found: Result, wanted: Result, terms: float = 1e-6) -> None:
    """Compare terms absolutely, gradients to 1e-5 of the largest value of any gradient."""
    for ours, theirs, bound in zip(found, wanted, (terms, 1e-5 * _largest(wanted[1])), strict=True):
        assert list(ours) == list(theirs)
        for name, value in ours.items():
            assert (value - theirs[name]).abs().max() <= bound, name


def _largest(gradients: Mapping[str, Tensor]) -> float:
    return max(gradient.abs().max().item() for gradient in gradients.values())


@pytest.fixture(scope="module", params=SEPARABLE)
def plain(request: pytest.FixtureRequest) -> tuple[Method, Result]:
    """A method and what it gives at once."""
    method = _built(request.param)
    return method, _result(method, MemoryConfig())


def test_methods_of_vision_transformers_are_separable() -> None:
    """But for those that may have a convolutional trunk, in which images influence each other."""
    assert all(registry.get(name).separable() for name in SEPARABLE)
    assert not any(registry.get(name).separable() for name in ("fusion-clustering", "man", "mun", "three-branch"))
    assert [name for name in ("fusion-clustering", "man", "mun") if not registry.get(name).shareable()] == ["mun"]


@pytest.mark.parametrize("memory", EACH, ids=_label)
def test_losses_and_gradients_are_those_of_the_batch_at_once(
    plain: tuple[Method, Result], memory: MemoryConfig
) -> None:
    method, wanted = plain
    assert _largest(wanted[1]) > 0.01
    # A distance is the root of a difference of large squares, so rounding alone moves a fp32 loss by up to 7e-6.
    _assert_same(_result(method, memory), wanted, terms=2e-5)


def test_in_double_precision_they_are_the_same_to_more_digits(plain: tuple[Method, Result]) -> None:
    method = copy.deepcopy(plain[0]).double()
    wanted = _result(method, MemoryConfig())
    for memory in SAVINGS[::3]:
        found = _result(method, memory)
        _assert_same(found, wanted)
        assert all(term.dtype == torch.float64 for term in found[0].values())


@pytest.mark.parametrize("memory", [MemoryConfig(micro_batch=3, checkpointing=True)], ids=_label)
def test_running_statistics_are_those_of_the_batch_at_once(
    plain: tuple[Method, Result], memory: MemoryConfig
) -> None:
    states = []
    for saving in (MemoryConfig(), memory):
        method = copy.deepcopy(plain[0])
        _forward(method, saving)(training_batch())
        states.append(dict(method.named_buffers()))
    torch.testing.assert_close(states[0], states[1], rtol=0, atol=1e-6)
    assert any("running_mean" in name for name in states[0])


@pytest.mark.parametrize("memory", mostly_slow(SAVINGS[::3], SAVINGS[-1:]), ids=_label)
def test_terms_in_bf16_differ_by_rounding_alone(plain: tuple[Method, Result], memory: MemoryConfig) -> None:
    method, exact = plain
    wanted, found = (_result(method, saving, "bf16") for saving in (MemoryConfig(), memory))
    assert any(not torch.equal(term, exact[0][name]) for name, term in wanted[0].items())
    for name, term in found[0].items():
        assert term.dtype == torch.float32
        torch.testing.assert_close(term, wanted[0][name], rtol=1e-3, atol=5e-3, msg=name)


@pytest.mark.parametrize("name", ["top-reid", "editor"])
def test_left_out_branches_are_left_out_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    method = _built(name, drop_path=0.9)
    whole = _result(method, MemoryConfig())
    _assert_same(_result(method, MemoryConfig(checkpointing=True)), whole)
    saved = _result(method, MemoryConfig(micro_batch=3))
    with monkeypatch.context() as patch:  # the same pieces, but nothing is computed twice
        patch.setattr("mdreid_bench.training.forward.checkpoint", lambda work, *given, **_: work(*given))
        _assert_same(saved, _result(method, MemoryConfig(micro_batch=3)))
    assert _result(method, MemoryConfig(), seed=1)[0]["identity"] != whole[0]["identity"]


class _OnALine(Method):
    """The feature of an item is the mean of its images times a weight."""

    card = registry.card("mdreid")

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.calls: list[int] = []

    @classmethod
    def build(cls, config: RunConfig, data: DataFacts) -> "Method":
        return cls()

    def backbones(self) -> tuple[()]:
        return ()

    def represent(self, images: Images, camera: Cameras) -> Encoded:
        self.calls.append(len(next(iter(images.values()))))
        return {"feature": self.weight * torch.stack([x.mean((1, 2, 3)) for x in images.values()]).mean(0)[:, None]}

    def losses(self, represented: Encoded, identity: Tensor) -> dict[str, Tensor]:
        return {"triplet": soft_margin_triplet(represented["feature"], identity)}

    def encode(self, images: Images, camera: Tensor) -> Encoded:
        return self.represent(images, camera)

    def embed(self, encoded: Encoded, available: Any) -> Tensor:
        return encoded["feature"]


def _line(places: list[float], identity: list[int]) -> TrainingBatch:
    flat = torch.tensor(places, dtype=torch.float32)[:, None, None, None].expand(-1, 3, 2, 2)
    return TrainingBatch(
        dict.fromkeys(tuple(RNT), flat), torch.tensor(identity), torch.zeros(len(places), dtype=torch.int64)
    )


def test_mining_sees_the_whole_batch_by_hand() -> None:
    method = _OnALine()
    places, identity = [0.0, 1, 10, 11, 2, 3, 20, 21], [0, 0, 1, 1, 2, 2, 3, 3]
    loss = _forward(method, MemoryConfig(micro_batch=4))(_line(places, identity))["triplet"]
    # In the order of the places: each positive is 1 away, these are the nearest of another identity.
    by_hand = torch.nn.functional.softplus(1 - torch.tensor([2.0, 1, 7, 8, 1, 2, 9, 10])).mean()
    assert method.calls == [4, 4]
    torch.testing.assert_close(loss, by_hand, rtol=0, atol=1e-5)
    halves = [
        method.training_losses(_line(places[part], identity[part]))["triplet"] for part in (slice(4), slice(4, 8))
    ]
    by_piece = torch.nn.functional.softplus(1 - torch.tensor([10.0, 9, 9, 10, 18, 17, 17, 18])).mean()
    torch.testing.assert_close(torch.stack(halves).mean(), by_piece, rtol=0, atol=1e-5)
    assert loss > 100 * by_piece


@pytest.mark.parametrize("name", SEPARABLE)
def test_mining_of_a_method_is_not_that_of_its_pieces(name: str) -> None:
    method, batch = _built(name), training_batch()
    whole = _forward(copy.deepcopy(method), MemoryConfig(micro_batch=4))(batch)["triplet"]
    naive = []
    for rows in (slice(4), slice(4, 8)):
        images, camera = batch.piece(rows)
        piece = TrainingBatch(images, batch.identity[rows], camera)
        naive.append(copy.deepcopy(method).training_losses(piece)["triplet"])
    assert abs(whole - torch.stack(naive).mean()) > 1e-3


@pytest.mark.parametrize(("size", "calls"), [(None, [8]), (1, [1] * 8), (3, [3, 3, 2]), (8, [8]), (100, [8])])
def test_pieces_are_of_the_size_asked_for(size: int | None, calls: list[int]) -> None:
    method = _OnALine()
    batch = _line([0.0, 1, 10, 11, 2, 3, 20, 21], [0, 0, 1, 1, 2, 2, 3, 3])
    _forward(method, MemoryConfig(micro_batch=size))(batch)["triplet"].backward()  # type: ignore[no-untyped-call]
    assert method.calls == (calls if len(calls) == 1 else calls + calls[::-1])


def test_a_method_that_cannot_be_taken_apart_is_refused() -> None:
    method, memory = build("random"), MemoryConfig(micro_batch=2)
    config = small_config("random").model_copy(update={"memory": memory})
    with pytest.raises(UsageError, match=r"random cannot take a batch apart.*without memory\.micro_batch"):
        Forward(method, config, "fp32", ALONE)
    _forward(method, MemoryConfig(checkpointing=True))
