import statistics
import time

import numpy as np
import pytest

from protocols.bootstrap import interval, joint_interval, paired_difference
from protocols.evaluation import NoValidQueryError


def naive_interval(values: list[float], identities: list[int], samples: int, seed: int) -> tuple[float, float]:
    """Draw identities one by one and pool their queries, in the order of the same random numbers."""
    names = sorted(set(identities))
    rng = np.random.default_rng(seed)
    means = []
    for row in rng.integers(len(names), size=(samples, len(names))):
        pooled = [v for name in row for v, i in zip(values, identities, strict=True) if i == names[name]]
        means.append(np.mean(pooled))
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def test_equals_pooling_whole_identities() -> None:
    rng = np.random.default_rng(1)
    values, identities = rng.random(40), rng.integers(100, 107, size=40)
    exact = naive_interval(values.tolist(), identities.tolist(), 200, 5)
    assert interval(values, identities, samples=200, seed=5) == pytest.approx(exact, rel=1e-12)


def test_same_seed_same_interval_other_seed_another() -> None:
    rng = np.random.default_rng(2)
    values, identities = rng.random(60), rng.integers(20, size=60)
    assert interval(values, identities, seed=1) == interval(values, identities, seed=1)
    assert interval(values, identities, seed=1) != interval(values, identities, seed=2)


def test_order_of_queries_and_left_out_queries_change_nothing() -> None:
    rng = np.random.default_rng(3)
    values, identities = rng.random(60), rng.integers(20, size=60)
    order = rng.permutation(60)
    expected = interval(values, identities)
    assert interval(values[order], identities[order]) == pytest.approx(expected, rel=1e-12)
    padded = np.concatenate([values, [np.nan, np.nan]])
    assert interval(padded, np.concatenate([identities, [3, 99]])) == pytest.approx(expected, rel=1e-12)


def test_one_identity_has_no_spread_and_levels_nest() -> None:
    assert interval(np.array([0.2, 0.4]), np.array([7, 7])) == pytest.approx((0.3, 0.3))
    rng = np.random.default_rng(4)
    values, identities = rng.random(100), np.arange(100)
    wide, narrow = interval(values, identities, level=0.99), interval(values, identities, level=0.5)
    assert wide[0] < narrow[0] < values.mean() < narrow[1] < wide[1]


def test_width_follows_the_clusters_not_the_queries() -> None:
    rng = np.random.default_rng(5)
    per_identity = rng.random(50)
    values, identities = np.repeat(per_identity, 30), np.repeat(np.arange(50), 30)
    low, high = interval(values, identities)
    assert high - low == pytest.approx(2 * 1.96 * per_identity.std() / np.sqrt(50), rel=0.15)


def test_coverage_of_the_true_mean() -> None:
    rng = np.random.default_rng(6)
    covered = 0
    for seed in range(200):
        values = np.repeat(rng.random(40), 3) + 0.1 * rng.standard_normal(120)
        low, high = interval(values, np.repeat(np.arange(40), 3), samples=300, seed=seed)
        covered += low <= 0.5 <= high
    # 95 % of 200 within four standard deviations, less what a percentile interval of 40 clusters is known to lack.
    assert 172 <= covered <= 200


def test_paired_difference_is_narrower_than_the_parts() -> None:
    rng = np.random.default_rng(7)
    identities = rng.integers(30, size=300)
    hardness = rng.random(300)
    a, b = hardness + 0.02, hardness
    result = paired_difference(a, b, identities)
    assert result.mean == pytest.approx(0.02)
    assert (result.low, result.high) == pytest.approx((0.02, 0.02))
    flipped = paired_difference(b, a, identities)
    assert (flipped.mean, flipped.low) == pytest.approx((-0.02, -result.high))


def test_paired_difference_ignores_queries_without_value() -> None:
    a, b = np.array([0.5, np.nan, 0.9]), np.array([0.4, 0.3, 0.9])
    assert paired_difference(a, b, np.array([1, 1, 2])).mean == pytest.approx(0.05)


def test_errors() -> None:
    ones, ids = np.ones(3), np.arange(3)
    with pytest.raises(NoValidQueryError):
        interval(np.full(3, np.nan), ids)
    with pytest.raises(ValueError, match="do not pair"):
        interval(ones, ids[:2])
    with pytest.raises(ValueError, match="not paired"):
        paired_difference(ones, ones[:2], ids)
    with pytest.raises(ValueError, match="level"):
        interval(ones, ids, level=1.0)
    with pytest.raises(ValueError, match="samples"):
        interval(ones, ids, samples=0)


def test_it_is_quick() -> None:
    rng = np.random.default_rng(8)
    values, identities = rng.random(1700), rng.integers(50, size=1700)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        interval(values, identities)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.02


def test_a_mean_over_protocols_draws_identities_for_all_of_them_at_once() -> None:
    rng = np.random.default_rng(4)
    identities = rng.integers(6, size=30)
    parts = [(np.where(rng.random(30) < 0.1, np.nan, rng.random(30)), identities) for _ in range(3)]
    names, means = sorted(set(identities.tolist())), []
    for row in np.random.default_rng(5).integers(len(names), size=(50, len(names))):
        pooled = [[v[i] for name in row for i in np.flatnonzero(who == names[name])] for v, who in parts]
        means.append(statistics.harmonic_mean([float(np.nanmean(values)) for values in pooled]))
    exact = pytest.approx(tuple(np.percentile(means, [2.5, 97.5])), rel=1e-12)
    assert joint_interval(parts, statistics.harmonic_mean, samples=50, seed=5) == exact
    alone = joint_interval(parts[:1], statistics.fmean, samples=50, seed=5)
    assert alone == pytest.approx(interval(*parts[0], samples=50, seed=5), rel=1e-12)
    with pytest.raises(NoValidQueryError):
        joint_interval([*parts, (np.full(30, np.nan), identities)], statistics.fmean)
