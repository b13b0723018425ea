"""Methods on datasets of other sensors: parts for each of them, and a reason where they cannot."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from mdreid_bench.models import registry
from mdreid_bench.models.mdreid.folding import fold_paper, fold_released, keep_components
from mdreid_bench.models.mdreid.pairing import released_pairing
from mdreid_bench.models.method import DataFacts, Method, TrainingBatch
from mdreid_bench.weights import checkpoint
from mdreid_bench.weights.load_method import load_method
from mdreid_bench.weights.weights_header import WeightsHeader
from protocols.modality import RNT, D, Modality, N, R, T, subsets
from protocols.protocol import Protocol
from tests.support import FACTS, SIZE, small_config

OTHERS = (R | T, R | N | T | D, T)
CAMERAS = torch.tensor([0, 1, 2])


def facts(sensors: Modality) -> DataFacts:
    return replace(FACTS, modalities=sensors)


def built(name: str, sensors: Modality) -> Method:
    torch.manual_seed(0)
    return registry.get(name).build(small_config(name), facts(sensors))


def pictures(sensors: Modality, count: int = 3) -> dict[Modality, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {m: torch.randn(count, 3, *SIZE, generator=generator) for m in sensors}


SERVED = [
    (name, sensors) for name in registry.names() for sensors in OTHERS if not registry.get(name).skip(facts(sensors))
]


def test_only_methods_that_compare_sensors_need_two() -> None:
    for name in ("top-reid", "editor", "mun", "mfrnet"):
        assert [s for s in OTHERS if (name, s) not in SERVED] == [T]
        assert registry.get(name).skip(facts(T)) == "it needs at least two sensors"
        assert registry.get(name).skip(FACTS) is None
    for name in ("mdreid", "single-classifier", "demo", "random", "clip-zero-shot", "man"):
        assert all((name, s) in SERVED for s in OTHERS)


@pytest.mark.parametrize(("name", "sensors"), SERVED, ids=str)
def test_it_trains_and_embeds_every_subset(name: str, sensors: Modality) -> None:
    method, card = built(name, sensors), registry.card(name)
    identity = torch.arange(4).repeat_interleave(2)
    if card.trains:
        terms = method.train().training_losses(TrainingBatch(pictures(sensors, 8), identity, torch.arange(8) % 3))
        assert all(math.isfinite(term.item()) for term in terms.values())
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        trained = {n: p for n, p in method.named_parameters() if p.requires_grad}
        assert [n for n, p in trained.items() if p.grad is None] == []
    images = pictures(sensors)
    together = method.eval().embed_all(images, CAMERAS, subsets(sensors))
    assert len({vectors.shape for vectors in together.values()}) == 1
    for subset, wanted in together.items():
        present = {m: images[m] for m in subset}
        torch.testing.assert_close(method.embed_all(present, CAMERAS, (subset,))[subset], wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["mdreid", "single-classifier", "top-reid", "editor"])
def test_cameras_by_sensor_are_those_of_the_items_where_they_are_equal(name: str) -> None:
    sensors, camera, identity = R | T, torch.arange(8) % 3, torch.arange(4).repeat_interleave(2)
    one, other = (built(name, sensors).train() for _ in range(2))
    torch.manual_seed(1)
    wanted = one.training_losses(TrainingBatch(pictures(sensors, 8), identity, camera))
    torch.manual_seed(1)
    found = other.training_losses(TrainingBatch(pictures(sensors, 8), identity, dict.fromkeys(sensors, camera)))
    assert all(torch.equal(found[term], value) for term, value in wanted.items())


@pytest.mark.parametrize("sensors", OTHERS, ids=str)
def test_the_fold_equals_the_double_sum_of_the_paper(sensors: Modality) -> None:
    generator = torch.Generator().manual_seed(0)
    sp_q, sh_q, sp_g, sh_g = (
        {m: F.normalize(torch.randn(3, 4, generator=generator, dtype=torch.float64), dim=1) for m in sensors}
        for _ in range(4)
    )
    for q in subsets(sensors):
        for g in subsets(sensors):
            specific = sum((sp_q[m] @ sp_g[m].T for m in q & g), torch.zeros(3, 3, dtype=torch.float64))
            shared = sum((sh_q[a] @ sh_g[b].T for a in q for b in g), torch.zeros(3, 3, dtype=torch.float64))
            left, right = fold_paper(sp_q, sh_q, q, sensors), fold_paper(sp_g, sh_g, g, sensors)
            size = len(q) * len(g)
            torch.testing.assert_close(left @ right.T, (specific + shared) / size / 2, rtol=0, atol=1e-12)
            kept = [keep_components(side, "specific", "paper", sensors) for side in (left, right)]
            torch.testing.assert_close(kept[0] @ kept[1].T, specific / size / 2, rtol=0, atol=1e-12)


def test_the_released_pairing_follows_the_sensors() -> None:
    """RGB + thermal, R-to-RT: the specific vectors of R meet, the shared one of R meets both."""
    generator = torch.Generator().manual_seed(0)
    sp, sh = ({m: torch.randn(2, 4, generator=generator) for m in R | T} for _ in range(2))
    stored = {s: fold_released(sp, sh, s, R | T).numpy() for s in (R, R | T)}
    pairing = released_pairing({"similarity": "released"}, R | T)
    assert pairing is not None
    query, gallery = pairing(Protocol(R, R | T), stored[R], stored[R | T])
    q = F.normalize(torch.cat([sp[R], sh[R], sh[R]], dim=1), dim=1)
    g = F.normalize(torch.cat([sp[R], sh[R], sh[T]], dim=1), dim=1)
    torch.testing.assert_close(torch.from_numpy(query @ gallery.T), q @ g.T, rtol=0, atol=1e-6)


@pytest.mark.parametrize("sensors", [R | T, R | N | T | D], ids=str)
def test_a_file_of_weights_says_the_sensors(tmp_path: Path, sensors: Modality) -> None:
    method, config = built("mdreid", sensors).eval(), small_config("mdreid")
    description = WeightsHeader.of(method, config, facts(sensors), selection="last-epoch")
    checkpoint.save_weights(tmp_path / "w.safetensors", method, description.header())
    found = load_method(tmp_path / "w.safetensors").embed_all(pictures(sensors), CAMERAS, subsets(sensors))
    wanted = method.embed_all(pictures(sensors), CAMERAS, subsets(sensors))
    for subset, vectors in wanted.items():
        torch.testing.assert_close(found[subset], vectors, rtol=0, atol=1e-6)
    older = {name: value for name, value in description.header().items() if name != "sensors"}
    assert WeightsHeader.model_validate(older).data.modalities == RNT
