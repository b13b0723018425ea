"""MAN and its baselines as methods: what they learn from, what they log, and what they refuse."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from baselines.man.distribution_alignment import domain_alignment, modality_alignment
from baselines.man.domain_norm import DomainNorm, split
from baselines.man.fusion_clustering import FusionClustering, HybridHead
from baselines.man.method import MAN
from baselines.man.pairing import CommonSensors
from baselines.man.prototypes import update
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.errors import UsageError
from mdreid_bench.models import registry
from mdreid_bench.models.epoch import EpochAhead, TrainingSet
from mdreid_bench.models.method import DataFacts
from mdreid_bench.progress import Silent
from mdreid_bench.results.trained import TrainingFolder
from mdreid_bench.training.stage import Stage
from mdreid_bench.training.train import Trainer
from protocols.mixed import MixedAvailability
from protocols.modality import RNT, Modality, N, R
from protocols.protocol import Protocol
from tests.data.trees import Recorder, plant
from tests.support import small_config

CPU = torch.device("cpu")
SETTINGS: Mapping[str, Any] = {
    "trunk": {"name": "mdreid-resnet-tiny", "pretrained": None},
    "image": {"size": [16, 16]},
    "batch": {"size": 4, "instances": 2},
    "schedule": {"epochs": 2},
    "options": {"clusters": 3, "pretrain_epochs": 1},
}
PARTS = {"cpa": False, "pda": False, "mma": False}


def _config(name: str = "man", **options: Any) -> RunConfig:
    return small_config(name, {**SETTINGS, "options": {**SETTINGS["options"], **options}})


def _method(config: RunConfig, facts: DataFacts = DataFacts(4, 3)) -> FusionClustering:  # noqa: B008
    torch.manual_seed(0)
    found = registry.get(config.method).build(config, facts)
    assert isinstance(found, FusionClustering)
    return found


def _trainer(config: RunConfig, stage: Stage, path: Path, reporter: Silent | None = None) -> Trainer:
    method, target = _method(config, stage.facts), stage.unlabelled
    assert target is not None
    return Trainer(method, target, config, TrainingFolder(path), CPU, reporter or Silent(), stage=stage)


def _log(trainer: Trainer) -> list[dict[str, Any]]:
    return [json.loads(line) for line in trainer.folder.log.read_text().splitlines()]


@pytest.fixture(scope="module")
def stage(planted: DatasetIndex, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A source of two identities, and a target of as many."""
    root = tmp_path_factory.mktemp("source")
    plant(root, "rgbnt201")
    return Stage((open_dataset("rgbnt201", root, Silent()),), planted)


@pytest.fixture(scope="module")
def whole(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """A training from its beginning to its end."""
    trainer = _trainer(_config(sigma=0.0), stage, tmp_path_factory.mktemp("whole") / "run")
    trainer.run()
    return trainer


@pytest.mark.parametrize("labels", ["permuted", pytest.param("deleted", marks=pytest.mark.slow)])
def test_labels_of_the_target_change_no_weight(stage: Stage, whole: Trainer, tmp_path: Path, labels: str) -> None:
    target = stage.unlabelled
    assert target is not None
    known, rng = target.train.labels, np.random.default_rng(0)
    identity = rng.permutation(known.identity) if labels == "permuted" else np.zeros_like(known.identity)
    assert not np.array_equal(identity, known.identity)
    blind = replace(target, train=replace(target.train, labels=replace(known, identity=identity)))
    again = _trainer(_config(sigma=0.0), replace(stage, unlabelled=blind), tmp_path / "run")
    again.run()
    assert again.folder.weights.read_bytes() == whole.folder.weights.read_bytes()


class _KilledError(Exception):
    pass


def test_killed_in_the_middle_of_adaptation_it_ends_with_the_same_bytes(
    stage: Stage, whole: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Trainer._step

    def killed(self: Trainer, batch: Any, place: Any) -> Any:
        if (place.epoch, place.step) == (2, 2):
            raise _KilledError
        return step(self, batch, place)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", killed)
        with pytest.raises(_KilledError):
            _trainer(_config(sigma=0.0), stage, tmp_path / "run").run()
    again = _trainer(_config(sigma=0.0), stage, tmp_path / "run")
    monkeypatch.setattr(MAN, "before_epoch", lambda *_: pytest.fail("it has guessed already"))
    again.run()
    assert again.folder.weights.read_bytes() == whole.folder.weights.read_bytes()
    assert _log(again)[1]["guessed"] == _log(whole)[1]["guessed"]


def test_the_log_has_guesses_and_losses_of_each_epoch(stage: Stage, whole: Trainer) -> None:
    first, second = _log(whole)
    assert set(first["losses"]) == {"identity", "triplet"}
    assert set(second["losses"]) == {"identity", "triplet", "memory", "domain", "modality"}
    assert "guessed" not in first
    target = stage.unlabelled
    assert target is not None
    found, guessed = second["guessed"], whole.state.guessed
    assert guessed is not None
    assert found["items"] == len(target.train)
    assert found["trusted"] == (guessed >= 0).sum()
    assert found["identities"] == len(np.unique(guessed[guessed >= 0])) <= 3
    assert found["purity"] is None  # these images are not marked as synthetic
    assert second["said"] == []


def test_parts_are_switched_off_by_options() -> None:
    for part, term in (("pda", "domain"), ("mma", "modality"), ("cpa", None)):
        method = _method(_config("man", **{part: False}))
        terms = _adapted(method)
        assert set(terms) == {"identity", "triplet", "memory", "domain", "modality"} - {term}
    assert set(_adapted(_method(_config("man", **PARTS, memory_weight=0.0)))) == {"identity", "triplet"}


def test_without_its_parts_man_is_clustering_alone(stage: Stage, tmp_path: Path) -> None:
    found = []
    for name, options in (("man", PARTS), ("fusion-clustering", {})):
        alone = {**SETTINGS, "schedule": {"epochs": 1}, "options": {"clusters": 3, "pretrain_epochs": 0, **options}}
        trainer = _trainer(small_config(name, alone), stage, tmp_path / name / "run")
        trainer.run()
        found.append(trainer.method.state_dict())
    assert list(found[0]) == list(found[1])
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_too_few_reliable_items_are_told_and_counted(stage: Stage, tmp_path: Path) -> None:
    reporter = Recorder()
    config = small_config("man", {**SETTINGS, "options": {"clusters": 3, "sigma": 0.99, "pretrain_epochs": 0}})
    trainer = _trainer(config, stage, tmp_path / "run", reporter)
    method = trainer.method
    assert isinstance(method, MAN)
    clusters = iter(np.random.default_rng(0).integers(0, 3, (8, 10_000)))
    method.cluster = lambda features, seed: next(clusters)[: len(features)]  # type: ignore[method-assign]
    method.batch = method.batch.model_copy(update={"size": 40})  # so that no epoch has enough of them
    trainer.run()
    said = [entry["said"] for entry in _log(trainer)]
    assert [len(texts) for texts in said] == [1, 1]
    assert "items nearest to the centre of each cluster are taken instead, as in 2 epochs so far" in said[1][0]
    assert said[0][0] in reporter.messages
    assert all(entry["guessed"]["trusted"] == 3 * 2 for entry in _log(trainer))


def test_what_does_not_go_together_is_refused_before_the_first_step(stage: Stage, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"options\.clusters=500 is more than the \d+ items .* at most as many"):
        _trainer(_config(clusters=500), stage, tmp_path / "run").run()
    assert not TrainingFolder(tmp_path / "run").log.exists()
    crowded = small_config("man", {**SETTINGS, "batch": {"size": 12, "instances": 2}})
    with pytest.raises(UsageError, match=r"options\.clusters=3 is less than the 6 identities of a batch"):
        _method(crowded)
    plain = small_config("man", {"options": {"domain_norm": True}, "trunk": {"name": "mdreid-tiny"}})
    with pytest.raises(UsageError, match=r"domain_norm=true needs a trunk with batch normalisation"):
        _method(plain)


def test_a_vision_transformer_may_be_the_trunk(stage: Stage, tmp_path: Path) -> None:
    settings = {**SETTINGS, "trunk": {"name": "mdreid-tiny", "pretrained": None, "layers": 1}}
    trainer = _trainer(small_config("man", settings), stage, tmp_path / "run")
    trainer.run()
    assert all(math.isfinite(value) for entry in _log(trainer) for value in entry["losses"].values())


def _features(seed: int, count: int, width: int = 3) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {str(m): torch.randn(count, width, generator=generator, dtype=torch.float64) for m in RNT}


def _adapted(method: FusionClustering) -> dict[str, Tensor]:
    """Return the terms of a batch of four items of each dataset, of a method that has guessed."""
    method.opened = torch.tensor([2, 100])
    if isinstance(method, MAN):
        width = 3 * method.width
        method.known_bank, method.guessed_bank = torch.randn(4, width), torch.randn(3, width)
        method.guessed_bank[1] = float("nan")
    source, target = _features(1, 4, method.width), _features(2, 4, method.width)
    known, guessed = torch.tensor([0, 0, 3, 3]), torch.tensor([2, 2, 0, 0])
    labelled, unlabelled = ({k: x.float() for k, x in side.items()} for side in (source, target))
    return method.train().adapting_losses(labelled, unlabelled, known, guessed)


def _cross_entropy(logits: Tensor, labels: list[int]) -> float:
    """Label-smoothed cross entropy, written out."""
    total = 0.0
    for row, label in zip(logits.tolist(), labels, strict=True):
        log_sum = math.log(sum(math.exp(v) for v in row))
        wanted = [0.1 / len(row) + 0.9 * (column == label) for column in range(len(row))]
        total -= sum(w * (v - log_sum) for w, v in zip(wanted, row, strict=True))
    return total / len(labels)


def _triplets(features: Tensor, labels: list[int]) -> float:
    distances = [
        [math.sqrt(sum((a - b) ** 2 for a, b in zip(x, y, strict=True))) for y in features.tolist()]
        for x in features.tolist()
    ]
    total = 0.0
    for row, own in zip(distances, labels, strict=True):
        positive = max(d for d, label in zip(row, labels, strict=True) if label == own)
        total += max(0.0, positive - min(d for d, label in zip(row, labels, strict=True) if label != own) + 0.3)
    return total / len(labels)


def test_the_objective_is_equations_21_to_23() -> None:
    method = _method(_config(align_all=True)).double().train()
    assert isinstance(method, MAN)
    width = method.width
    source, target = _features(1, 4, width), _features(2, 4, width)
    known = torch.nn.functional.normalize(torch.randn(4, 3, width, dtype=torch.float64), dim=2).reshape(4, -1)
    guessed = torch.nn.functional.normalize(torch.randn(3, 3, width, dtype=torch.float64), dim=2).reshape(3, -1)
    guessed[1] = float("nan")
    method.known_bank, method.guessed_bank, method.opened = known.clone(), guessed.clone(), torch.tensor([1, 100])
    # The last two items are of cluster 1, but not reliable: they are drawn for the alignment alone.
    labels, guesses = torch.tensor([0, 0, 3, 3]), torch.tensor([2, 2, 1 + 3, 1 + 3])
    found = method.adapting_losses(source, target, labels, guesses)

    names = [0, 0, 3, 3, 4 + 2, 4 + 2]
    both = {kind: torch.cat([source[kind], target[kind]]) for kind in "RNT"}
    both = {"F": torch.cat([both[kind] for kind in "RNT"], dim=1)} | both
    identity = triplet = 0.0
    for kind, rows in both.items():
        head = method.heads[kind]
        assert isinstance(head, HybridHead)
        normed = (rows - rows.mean(0)) / (rows.var(0, unbiased=False) + 1e-5).sqrt()
        logits = torch.cat([normed @ head.classifier.weight.T, normed @ head.guessed.weight.T], dim=1)
        identity += _cross_entropy(logits[:6], names)
        triplet += _triplets(rows[:6], names)
    unit = [{m: torch.nn.functional.normalize(side[str(m)], dim=1) for m in RNT} for side in (source, target)]
    banks = [
        {m: bank[:, i * width : (i + 1) * width] for i, m in enumerate(RNT)} for bank in (guessed[[0, 2]], known)
    ]
    domain = sum(float(domain_alignment(x, p, 0.5)) for x, p in zip(unit, banks, strict=True))
    modality = sum(float(modality_alignment(x, p, 0.5)) for x, p in zip(unit, banks, strict=True))
    wanted = {
        "identity": identity,
        "triplet": triplet,
        "memory": _triplets(both["F"][:6], names),
        "domain": 1.0 * domain,
        "modality": 0.8 * modality,
    }
    assert {name: term.item() for name, term in found.items()} == pytest.approx(wanted, abs=1e-6)
    sure = {m: x[:2] for m, x in unit[1].items()}
    for moved, near, classes in ((known, unit[0], labels), (guessed, sure, guesses[:2])):
        for i, m in enumerate(RNT):
            update(moved[:, i * width : (i + 1) * width], near[m], classes, 0.99)
    torch.testing.assert_close(method.known_bank, known, rtol=0, atol=1e-6)
    torch.testing.assert_close(method.guessed_bank, guessed, rtol=0, atol=1e-6, equal_nan=True)


def _set(count: int, vectors: NDArray[np.float32], identity: NDArray[np.int64] | None) -> TrainingSet:
    names, zeros = np.array([str(i) for i in range(count)]), np.zeros(count, dtype=np.int64)
    return TrainingSet(names, np.full(count, RNT.value, dtype=np.uint8), zeros, identity, lambda _: {RNT: vectors})


def test_labels_are_kept_where_three_of_four_kinds_agree() -> None:
    method, rng = _method(_config(sigma=0.4, pretrain_epochs=0)), np.random.default_rng(0)
    assert isinstance(method, MAN)
    vectors = rng.standard_normal((9, 3 * method.width)).astype(np.float32)
    vectors[8] = np.nan  # a sensor did not see it
    fused = np.array([0, 0, 1, 1, 2, 2, 0, 1])
    other, two = np.array([1, 1, 2, 2, 0, 0, 1, 2]), np.array([0, 0, 1, 1, 2, 2, 1, 2])
    found = iter([fused, other, two, two])
    method.cluster = lambda features, seed: next(found)  # type: ignore[method-assign]
    known = _set(4, rng.standard_normal((4, 3 * method.width)).astype(np.float32), np.arange(4))
    ahead = EpochAhead(1, 0, known, _set(9, vectors, None), pytest.fail)
    # Named anew, ``other`` is the same as ``fused``; ``two`` and ``two`` differ from both in the last two items.
    assert method.before_epoch(ahead).tolist() == [0, 0, 1, 1, 2, 2, -1, -1, -1]  # type: ignore[union-attr]
    head = method.heads["F"]
    assert isinstance(head, HybridHead)
    mean = torch.from_numpy(vectors[[0, 1, 6]].mean(0))
    torch.testing.assert_close(head.guessed.weight[0].detach(), mean / mean.norm(), rtol=0, atol=1e-6)
    assert method.guessed_bank.shape == (3, 3 * method.width)


def test_each_dataset_has_statistics_of_its_own() -> None:
    method = _method(_config(domain_norm=True)).train()
    norm = next(module for module in method.modules() if isinstance(module, DomainNorm))
    maps = torch.cat([torch.randn(4, 32, 2, 2), 5 + 3 * torch.randn(4, 32, 2, 2)])
    with split(method.branches):
        halves = norm(maps).chunk(2)
    for half in halves:
        torch.testing.assert_close(half.mean((0, 2, 3)), torch.zeros(32), rtol=0, atol=1e-4)
    assert norm.other.running_mean.mean() > 0.3 > norm.labelled.running_mean.mean()  # type: ignore[union-attr]
    assert norm(maps)[:4].mean() < -0.5  # together they have one mean


def test_what_both_sides_have_is_compared_else_their_means() -> None:
    rng = np.random.default_rng(0)

    def unit(count: int, sensors: Modality) -> tuple[NDArray[np.float32], dict[Modality, NDArray[np.float32]]]:
        blocks = {m: rng.standard_normal((count, 4)).astype(np.float32) for m in RNT}
        blocks = {m: x / np.linalg.norm(x, axis=1, keepdims=True) * (m in sensors) for m, x in blocks.items()}
        joined = np.concatenate(list(blocks.values()), axis=1)
        return (joined / np.linalg.norm(joined, axis=1, keepdims=True)).astype(np.float32), blocks

    def cosine(left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
        lengths = [np.linalg.norm(x, axis=1, keepdims=True) for x in (left, right)]
        return np.asarray((left / lengths[0]) @ (right / lengths[1]).T)

    for name, common in (("R-to-NT", ()), ("RN-to-NT", (N,)), ("RN-to-RN", (R, N)), ("RNT-to-RN", (R, N))):
        protocol = Protocol.parse(name)
        (query, own), (gallery, other) = unit(3, protocol.query), unit(5, protocol.gallery)
        left, right = CommonSensors(RNT)(protocol, query, gallery)
        sides: list[NDArray[Any]] = []
        for blocks, sensors in ((own, protocol.query), (other, protocol.gallery)):
            mean = np.mean([blocks[m] for m in sensors], axis=0)
            sides.append(np.concatenate([blocks[m] for m in common], axis=1) if common else mean)
        np.testing.assert_allclose(left @ right.T, cosine(sides[0], sides[1]), atol=1e-6)
    assert CommonSensors(RNT)(MixedAvailability(), query, gallery)[0] is query
