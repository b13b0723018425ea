"""All pairs of methods, against loops over queries and against the comparison of two."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdreid_bench.errors import UsageError
from mdreid_bench.evaluation.cells import CellScorer
from mdreid_bench.evaluation.compare import Evaluation, compare
from mdreid_bench.evaluation.contest import Entrant, made_of, standings
from protocols.protocol import Protocol
from protocols.randomisation import luck_of, p_values
from tests.evaluation.stored import store

PROTOCOLS = ("R-to-NT", "R-to-R")


def entrant(root: Path, name: str, seeds: tuple[int, ...] = (1,), trained: bool = True, **changes: Any) -> Entrant:
    """Store and score a method on random embeddings."""
    paths: dict[str, dict[tuple[str, int], Path]] = {protocol: {} for protocol in PROTOCOLS}
    for seed in seeds:
        stored = store(root / name / str(seed), sum(map(ord, name)) + seed, seed=seed, **changes)
        for protocol in PROTOCOLS:
            CellScorer(stored.facts, stored.scope)(stored.table, Protocol.parse(protocol))
            paths[protocol]["", seed] = stored.scope.record_path(protocol)
    return Entrant(name, trained, paths)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[Entrant]:
    root = tmp_path_factory.mktemp("three")
    return [entrant(root, name, (1, 2)) for name in ("one", "two", "three")]


def evaluations(one: Entrant, protocol: str) -> list[Evaluation]:
    return [Evaluation.read(path) for path in one.paths[protocol].values()]


def test_a_pair_is_what_the_comparison_of_two_finds(three: list[Entrant]) -> None:
    (found,) = standings(three[:2], ["R-to-NT"], "mAP")
    (pair,) = found.pairs
    expected = compare(list(zip(*(evaluations(one, "R-to-NT") for one in three[:2]), strict=True))).mean_ap
    assert found.means == pytest.approx((expected.a, expected.b))
    assert pair.difference.mean == pytest.approx(expected.difference.mean)
    assert (pair.difference.low, pair.difference.high) == pytest.approx(
        (expected.difference.low, expected.difference.high)
    )
    assert pair.p == pair.corrected == expected.p
    (rank1,) = standings(three[:2], ["R-to-NT"], "rank1")
    assert rank1.means[0] == pytest.approx(
        np.mean([e.record.metrics.rank1 for e in evaluations(three[0], "R-to-NT")])
    )


def test_the_mean_over_protocols_pairs_identities(three: list[Entrant]) -> None:
    """Literally: what each identity adds is summed query by query."""
    *alone, mean = standings(three, PROTOCOLS, "mAP")
    assert [one.name for one in (*alone, mean)] == ["R-to-NT", "R-to-R", "mean of 2"]
    assert mean.means == pytest.approx(np.mean([one.means for one in alone], axis=0))
    parts = []
    for one in three:
        added = np.zeros((2, 4))
        for protocol in PROTOCOLS:
            for run, evaluation in enumerate(evaluations(one, protocol)):
                values = evaluation.values.metrics.ap
                for value, identity in zip(values, evaluation.values.identities, strict=True):
                    if not np.isnan(value):
                        added[run, identity] += value / np.count_nonzero(~np.isnan(values)) / len(PROTOCOLS)
        parts.append(added)
    pairs = [(0, 1), (0, 2), (1, 2)]
    apart = np.array([parts[a].mean(axis=0) - parts[b].mean(axis=0) for a, b in pairs])
    assert [pair.p for pair in mean.pairs] == p_values(apart, luck_of(parts, pairs)).tolist()
    assert [pair.difference.mean for pair in mean.pairs] == pytest.approx(apart.sum(axis=1))
    assert all(pair.corrected >= pair.p for pair in mean.pairs)
    assert mean.spreads == pytest.approx([part.sum(axis=1).std(ddof=1) for part in parts])


def test_a_method_does_not_differ_from_itself(three: list[Entrant]) -> None:
    (found,) = standings([three[0], three[0]], ["R-to-R"], "mAP")
    assert (found.pairs[0].p, found.pairs[0].difference.mean) == (1.0, 0.0)
    assert found.letters == ("a", "a")


def test_trained_methods_enter_with_the_seeds_they_share(three: list[Entrant], tmp_path: Path) -> None:
    more, floor = entrant(tmp_path, "more", (2, 3)), entrant(tmp_path, "floor", (1,), trained=False)
    assert made_of([three[0], more, floor], PROTOCOLS) == [[("", 2)], [("", 2)], [("", 1)]]
    assert made_of([three[0], three[1], floor], PROTOCOLS) == [[("", 1), ("", 2)]] * 2 + [[("", 1)]]
    (found,) = standings([three[0], more, floor], ["R-to-R"], "mAP")
    assert (found.luck, found.spreads) == (None, (None, None, None))
    with pytest.raises(UsageError, match=r"one, other share no seed under R-to-NT, R-to-R; run them with the same"):
        made_of([three[0], entrant(tmp_path, "other", (7,))], PROTOCOLS)


def test_other_test_data_and_older_records_are_refused(three: list[Entrant], tmp_path: Path) -> None:
    other = entrant(tmp_path, "other", (1, 2), test_fingerprint="d" * 12)
    with pytest.raises(UsageError, match="different test data"):
        standings([three[0], other], ["R-to-R"], "mAP")


def test_a_metric_that_older_records_lack_is_named(three: list[Entrant], monkeypatch: pytest.MonkeyPatch) -> None:
    read = Evaluation.read

    def older(path: Path) -> Evaluation:
        found = read(path)
        lacking = np.full(len(found.values.metrics), np.nan)
        return replace(found, values=replace(found.values, metrics=replace(found.values.metrics, rank20=lacking)))

    monkeypatch.setattr(Evaluation, "read", older)
    with pytest.raises(UsageError, match="older than rank20; score them again with --force"):
        standings(three, ["R-to-R"], "rank20")
