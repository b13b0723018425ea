"""MUN against literal transcriptions of its equations in double precision."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from baselines.mun.card import CARD, MUNOptions, compared, unserved
from baselines.mun.generator import RATIOS, CrossModalityLearner, IntraModalityLearner
from baselines.mun.identity_alignment import identity_alignment
from baselines.mun.method import MUN
from baselines.mun.prototypes import ModalityPrototypes
from mdreid_bench.errors import UsageError
from mdreid_bench.models.epoch import EpochAhead
from mdreid_bench.models.method import TrainingBatch
from protocols.modality import RNT, Modality, N, R, T
from protocols.suites import resolve
from tests.support import FACTS, small_config

Maps = NDArray[np.float64]
P, K = 4, 2
IDENTITY = torch.arange(P).repeat_interleave(K)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def shaken(module: nn.Module) -> Any:
    """Give every parameter and running statistic a value of its own."""
    for number, value in enumerate(module.double().parameters()):
        value.data = draw(*value.shape, seed=number) / 2
    return module


def depthwise(x: Maps, layer: Any) -> Maps:
    """Every channel with a kernel of its own, zeros around."""
    kernel, bias = layer.weight.detach().numpy()[:, 0], layer.bias.detach().numpy()
    side, (height, width) = kernel.shape[1], x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (side // 2,) * 2, (side // 2,) * 2))
    out: Maps = np.zeros_like(x) + bias[None, :, None, None]
    for i in range(side):
        for j in range(side):
            out += kernel[None, :, i, j, None, None] * padded[:, :, i : i + height, j : j + width]
    return out


def pointwise(x: Maps, layer: Any) -> Maps:
    weight, bias = layer.weight.detach().numpy()[:, :, 0, 0], layer.bias.detach().numpy()
    result: Maps = np.einsum("oc,bchw->bohw", weight, x) + bias[None, :, None, None]
    return result


def batch_norm(x: Maps, layer: Any) -> Maps:
    axes = (0, *range(2, x.ndim))
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    shape = (1, -1, *[1] * (x.ndim - 2))
    weight, bias = (p.detach().numpy().reshape(shape) for p in (layer.weight, layer.bias))
    result: Maps = (x - mean) / np.sqrt(variance + 1e-5) * weight + bias
    return result


def test_the_intra_modality_learner_by_the_equations() -> None:
    learner = shaken(IntraModalityLearner(6, 1.0)).train()
    learner.scale.factor.data = torch.tensor([0.5, 1.0, 0.2, 1.7, -1.0, 0.9]).double()[:, None, None]
    x = draw(3, 6, 9, 8, seed=99)
    maps = x.numpy()
    r = np.concatenate([depthwise(maps[:, :3], learner.fine), depthwise(maps[:, 3:], learner.coarse)], axis=1)
    r1 = pointwise(batch_norm(r, learner.norm_expand), learner.expand)
    r2 = depthwise(np.maximum(r1, 0), learner.local) + r1
    scale = np.array([0.5, 1.0, 0.2, 1.0, 1e-6, 0.9])[None, :, None, None]
    wanted = scale * pointwise(batch_norm(r2, learner.norm_contract), learner.contract)
    assert np.abs(learner(x).detach().numpy() - wanted).max() < 1e-6
    assert (learner.fine.kernel_size, learner.coarse.kernel_size) == ((5, 5), (7, 7))


@pytest.mark.parametrize("dense", [True, False])
def test_the_cross_modality_learner_by_the_equations(dense: bool) -> None:
    learner = shaken(CrossModalityLearner(2, 1.0, dense=dense)).train()
    learner.scale.factor.data = torch.tensor([0.5, 0.8]).double()[:, None, None]
    v, r = draw(2, 2, 12, 24, seed=98), draw(2, 2, 12, 24, seed=97)
    parts = []
    for maps in (v.numpy(), r.numpy()):
        for ratio, layer in zip(RATIOS, learner.enlarge, strict=True):
            weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
            out = np.zeros_like(maps) + bias[None, :, None, None]
            for i in range(0, 12, ratio):
                for j in range(0, 24, ratio):
                    window = maps[:, :, i : i + ratio, j : j + ratio]
                    mean = window.sum((2, 3)) / ratio**2
                    for c in range(2):
                        for o in range(2):
                            if dense or c == o:
                                filled = mean[:, c, None, None] * weight[c, o if dense else 0]
                                out[:, o, i : i + ratio, j : j + ratio] += filled
            parts.append(out)
    mixed = pointwise(batch_norm(np.concatenate(parts, axis=1), learner.norm), learner.mix)
    wanted = np.array([0.5, 0.8])[None, :, None, None] * mixed
    assert np.abs(learner(v, r).detach().numpy() - wanted).max() < 1e-6


def centre(rows: Maps, p: int) -> Maps:
    mean: Maps = rows[[i for i in range(len(rows)) if IDENTITY[i] == p]].mean(0)
    return mean


def literal_alignment(z: list[Maps], hinge: bool) -> float:
    total = 0.0
    for p in range(P):
        own = [float(np.linalg.norm(centre(z[2], p) - centre(z[m], p))) for m in (0, 1)]
        others = [
            float(np.linalg.norm(centre(z[2], p) - centre(z[m], q))) for m in (0, 1) for q in range(P) if q != p
        ]
        term = 0.55 + max(own) - min(others)
        total += max(0.0, term) if hinge else term
    return total


def literal_mmd(x: Maps, y: Maps) -> float:
    rows = np.concatenate([x, y])
    n = len(rows)
    squared = ((rows[:, None] - rows[None]) ** 2).sum(2)
    widths = [squared.sum() / (n**2 - n) / 4 * 2**i + 1e-9 for i in range(5)]
    kernel = sum(np.exp(-squared / width) for width in widths)
    k = len(x)
    return float(kernel[:k, :k].mean() + kernel[k:, k:].mean() - kernel[:k, k:].mean() - kernel[k:, :k].mean())


def literal_triplet(rows: Maps, labels: NDArray[np.int64]) -> float:
    distance = np.sqrt(((rows[:, None] - rows[None]) ** 2).sum(2))
    terms = [
        max(0.0, 0.3 + distance[i][labels == labels[i]].max() - distance[i][labels != labels[i]].min())
        for i in range(len(rows))
    ]
    return float(np.mean(terms))


def cross_entropy(rows: Maps, weight: Tensor) -> float:
    logits = rows @ weight.detach().numpy().T
    chosen = logits[np.arange(len(rows)), IDENTITY.numpy()]
    return float(np.mean(np.log(np.exp(logits).sum(1)) - chosen))


@pytest.mark.parametrize("hinge", [True, False])
def test_identity_alignment_by_loops(hinge: bool) -> None:
    a, v, r = (draw(P * K, 5, seed=seed) for seed in (1, 2, 3))
    found = identity_alignment(a, v, r, IDENTITY, 0.55, hinge=hinge).item()
    assert found == pytest.approx(literal_alignment([v.numpy(), r.numpy(), a.numpy()], hinge), abs=1e-9)


def built(**options: Any) -> MUN:
    torch.manual_seed(0)
    config = small_config("mun", {"options": options})
    return MUN.build(config, FACTS)


def test_three_steps_by_the_equations() -> None:
    """All terms of L over the whole training, with prototypes that remember and a beta that grows."""
    method = built(statistics="common").double().train()
    for linear, seed in zip(("first", "second", "auxiliary"), (5, 6, 7), strict=True):
        weight = method.prototypes.get_parameter(f"{linear}.weight")  # type: ignore[union-attr]
        weight.data += draw(*weight.shape, seed=seed) / 50
    ahead: Any = EpochAhead(1, 0, None, None, str, done=0, steps=3)  # type: ignore[arg-type]
    assert method.before_epoch(ahead) is None
    kept: list[Maps] = []
    for step, beta in enumerate((1e-8, 1e-8 + (1 - 1e-8) / 2, 1.0)):
        images = {m: draw(P * K, 3, 32, 48, seed=10 * step + m.value) for m in RNT}
        maps: dict[str, Tensor] = {}
        watch = method.trunk.stages.register_forward_hook(
            lambda module, given, out, found=maps: found.update(out=out)
        )
        terms = method.training_losses(TrainingBatch(images, IDENTITY, IDENTITY))
        watch.remove()
        pooled = ((maps["out"].detach().numpy() ** 3).mean((2, 3)) + 1e-12) ** (1 / 3)
        z = list(np.split(pooled, 3))
        neck = list(np.split(batch_norm(pooled, method.neck), 3))
        c_v, c_r = (method.classifiers[name].weight for name in "RN")
        assert isinstance(c_v, Tensor)
        assert isinstance(c_r, Tensor)
        moved = [
            rows @ method.prototypes.get_parameter(f"{name}.weight").detach().numpy().T  # type: ignore[union-attr]
            for rows, name in zip(z, ("first", "second", "auxiliary"), strict=True)
        ]
        kept = [beta * new + (1 - beta) * old for new, old in zip(moved, kept, strict=True)] if kept else moved
        t = [[rows[K * p : K * p + K] for p in range(P)] for rows in kept]
        discrepancy = np.mean([literal_mmd(t[0][p], t[2][p]) + literal_mmd(t[2][p], t[1][p]) for p in range(P)])
        wanted = {
            "identity": cross_entropy(neck[0], c_v) + cross_entropy(neck[1], c_r),
            "triplet": literal_triplet(np.concatenate(z[:2]), np.tile(IDENTITY.numpy(), 2)),
            "consistency": 0.25 * (cross_entropy(neck[2], c_v) + cross_entropy(neck[2], c_r)),
            "identity_alignment": 0.5 * literal_alignment(z, hinge=True),
            "modality_alignment": 0.008 * discrepancy,
        }
        assert {name: term.item() for name, term in terms.items()} == pytest.approx(wanted, abs=1e-6)


def test_prototypes_of_identities_begin_with_them_and_stay_with_them() -> None:
    kept = ModalityPrototypes(3, "identities", P * K, K, identities=6).double().train()
    first, second = draw(4, 3, seed=1), draw(4, 3, seed=2)
    labels, others = torch.tensor([0, 0, 5, 5]), torch.tensor([5, 5, 2, 2])
    assert torch.equal(kept(first, first, first, labels, 0.25)[0], first)
    moved = kept(second, second, second, others, 0.25)[1]
    torch.testing.assert_close(moved[:2], 0.25 * second[:2] + 0.75 * first[2:])
    assert torch.equal(moved[2:], second[2:])
    assert kept.begun.tolist() == [True, True, False, False, True, True, *[False] * 4, True, True]


@pytest.mark.parametrize(
    ("options", "terms"),
    [
        ({"auxiliary": False}, {"identity", "triplet"}),
        (
            {"auxiliary_identity": "own", "alignment_weight": 0, "modality_weight": 0},
            {"identity", "triplet", "auxiliary_identity"},
        ),
        ({"modality_weight": 0}, {"identity", "triplet", "consistency", "identity_alignment"}),
    ],
)
def test_rows_of_the_ablation(options: dict[str, Any], terms: set[str]) -> None:
    method = built(**options).train()
    images = {m: draw(P * K, 3, 32, 48, seed=m.value).float() for m in RNT}
    found = method.training_losses(TrainingBatch(images, IDENTITY, IDENTITY))
    assert set(found) == terms
    torch.stack(list(found.values())).sum().backward()  # type: ignore[no-untyped-call]
    assert [n for n, p in method.named_parameters() if p.requires_grad and p.grad is None] == []


def test_statistics_apart_keep_the_auxiliary_modality_out_of_what_is_used_in_testing() -> None:
    batch = TrainingBatch({m: draw(P * K, 3, 32, 48, seed=m.value).float() for m in RNT}, IDENTITY, IDENTITY)
    apart, without = built(statistics="apart").train(), built(auxiliary=False).train()
    without.load_state_dict(apart.state_dict(), strict=False)
    terms, wanted = apart.training_losses(batch), without.training_losses(batch)
    assert all(torch.equal(terms[name], value) for name, value in wanted.items())
    assert torch.isfinite(torch.stack(list(terms.values()))).all()
    kept, others = apart.state_dict(), without.state_dict()
    names = [name for name in others if name.endswith(("running_mean", "running_var"))]
    assert names
    assert all(torch.equal(kept[name], others[name]) for name in names)
    assert apart.neck.momentum == 0.1


@pytest.mark.parametrize("scheme", [{"prototypes": "none"}, {"bridge": False}, {"prototypes": "identities"}])
def test_schemes_of_the_modality_alignment(scheme: dict[str, Any]) -> None:
    method = built(**scheme).train()
    batch = TrainingBatch({m: draw(P * K, 3, 32, 48, seed=m.value).float() for m in RNT}, IDENTITY, IDENTITY)
    assert torch.isfinite(method.training_losses(batch)["modality_alignment"])
    assert (method.prototypes is None) == (scheme.get("prototypes") == "none")


def test_a_pair_of_sensors_is_compared_and_nothing_else() -> None:
    assert [compared(pair, RNT) for pair in (None, "RT", "TN")] == [R | N, R | T, N | T]
    reason = "MUN compares images of one sensor with those of another, here of RT (options.pair)"
    settings = {str(s): s for s in resolve(["R-to-T", "R-to-N", "RT-to-R", "mixed"])}
    reasons = {name: CARD.refusal(setting, {"pair": "RT"}, RNT) for name, setting in settings.items()}
    assert reasons == {
        "R-to-T": None,
        **dict.fromkeys(("R-to-N", "RT-to-R", "mixed-0.5-s0"), reason),
    }
    assert unserved(R, {"pair": "RT"}, R | N) == "MUN is to compare RT, and there is no T"
    with pytest.raises(ValueError, match="two sensors"):
        MUNOptions(pair="RNT")
    with pytest.raises(UsageError, match="two sensors, such as RT"):
        small_config("mun", {"options": {"pair": "R"}})


def test_vectors_of_a_sensor_outside_the_pair_say_nothing() -> None:
    method = built(pair="RT").eval()
    images = {m: draw(2, 3, 32, 48, seed=m.value).float() for m in RNT}
    found = method.embed_all(images, IDENTITY[:2], (R, N, T, R | N, R | T))
    assert not found[N].any()
    assert torch.equal(found[R | N], found[R])
    wanted = torch.nn.functional.normalize(found[R] + found[T], dim=1)
    torch.testing.assert_close(found[Modality.R | Modality.T], wanted, rtol=0, atol=1e-6)
