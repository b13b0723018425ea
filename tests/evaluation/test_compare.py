"""The difference between two evaluations: by hand, over seeds, and refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.evaluation.cells import CellScorer
from mdreid_bench.evaluation.compare import Evaluation, compare
from mdreid_bench.results.store import read_values
from protocols.bootstrap import paired_difference
from protocols.protocol import Protocol
from tests.evaluation.stored import store


def evaluate(root: Path, draw: int, protocol: str = "R-to-NT", **changes: Any) -> Evaluation:
    """Store and score a run; the draw decides its embeddings."""
    stored = store(root / str(draw), draw, seed=draw, **changes)
    setting = Protocol.parse(protocol)
    CellScorer(stored.facts, stored.scope)(stored.table, setting)
    return Evaluation.read(stored.scope.record_path(str(setting)))


def test_one_pair_is_the_paired_bootstrap_of_the_stored_values(tmp_path: Path) -> None:
    a, b = evaluate(tmp_path, 1), evaluate(tmp_path, 2)
    found = compare([(a, b)])
    assert (found.protocol, found.seeds) == ("R-to-NT", ((1, 2),))
    assert found.mean_ap.a == pytest.approx(a.record.metrics.mAP, abs=1e-12)
    assert found.rank1.b == pytest.approx(b.record.metrics.rank1, abs=1e-12)
    identities = a.values.identities
    assert found.mean_ap.difference == paired_difference(a.values.metrics.ap, b.values.metrics.ap, identities)
    assert found.rank1.difference == paired_difference(a.values.metrics.rank1, b.values.metrics.rank1, identities)
    assert (found.queries, found.identities) == (8, 4)
    difference = found.mean_ap.difference
    assert difference.low <= difference.mean <= difference.high


def test_exchanging_the_sides_changes_the_sign(tmp_path: Path) -> None:
    a, b = evaluate(tmp_path, 1), evaluate(tmp_path, 2)
    forth, back = compare([(a, b)]).mean_ap.difference, compare([(b, a)]).mean_ap.difference
    assert (forth.mean, forth.low, forth.high) == pytest.approx((-back.mean, -back.high, -back.low), abs=1e-12)


def test_a_run_does_not_differ_from_itself(tmp_path: Path) -> None:
    a = evaluate(tmp_path, 1)
    difference = compare([(a, a)]).mean_ap.difference
    assert (difference.mean, difference.low, difference.high) == (0.0, 0.0, 0.0)


def test_seeds_are_averaged_query_by_query(tmp_path: Path) -> None:
    first, second = (tuple(evaluate(tmp_path, draw) for draw in draws) for draws in ((1, 2), (3, 4)))
    found = compare(list(zip(first, second, strict=True)))
    means = [np.mean([e.values.metrics.ap for e in side], axis=0) for side in (first, second)]
    assert found.seeds == ((1, 3), (2, 4))
    assert found.mean_ap.a == pytest.approx(np.mean([e.record.metrics.mAP for e in first]))
    assert found.mean_ap.difference == paired_difference(means[0], means[1], first[0].values.identities)


def test_protocols_are_averaged_query_by_query(tmp_path: Path) -> None:
    sides = [[evaluate(tmp_path / name, draw, name) for name in ("R-to-NT", "R-to-R")] for draw in (1, 2)]
    found = compare(list(zip(*sides, strict=True)))
    means = [np.mean([e.values.metrics.ap for e in side], axis=0) for side in sides]
    assert (found.protocol, found.seeds) == ("mean of 2", ((1, 2),))
    assert found.mean_ap.difference == paired_difference(means[0], means[1], sides[0][0].values.identities)


def test_queries_without_a_positive_stay_out(tmp_path: Path) -> None:
    a, b = evaluate(tmp_path, 1), evaluate(tmp_path, 2)
    lacking = a.values.metrics.positives.copy()
    lacking[0] = 0
    sides = []
    for side in (a, b):
        ap = side.values.metrics.ap.copy()
        ap[0] = np.nan
        metrics = replace(side.values.metrics, ap=ap, rank1=ap, positives=lacking)
        sides.append(Evaluation(side.record, replace(side.values, metrics=metrics)))
    found = compare([(sides[0], sides[1])])
    assert found.queries == 7
    assert found.mean_ap.a == pytest.approx(float(a.values.metrics.ap[1:].mean()))


def test_other_test_data_are_refused(tmp_path: Path) -> None:
    a, b = evaluate(tmp_path, 1), evaluate(tmp_path, 2, test_fingerprint="d" * 12)
    with pytest.raises(UsageError, match=r"different test data \(fingerprints bbbbbbbbbb and dddddddddd\)"):
        compare([(a, b)])


def test_another_protocol_is_refused(tmp_path: Path) -> None:
    a, b = evaluate(tmp_path, 1), evaluate(tmp_path, 2, "R-to-R")
    with pytest.raises(UsageError, match=r"R-to-NT with the standard .* R-to-R with the standard"):
        compare([(a, b)])


def test_other_queries_are_refused(tmp_path: Path) -> None:
    a, b = evaluate(tmp_path, 1), evaluate(tmp_path, 2)
    renamed = replace(b.values, names=b.values.names[::-1])
    with pytest.raises(UsageError, match="names of their queries differ"):
        compare([(a, Evaluation(b.record, renamed))])


def test_a_record_without_per_query_values_is_an_error(tmp_path: Path) -> None:
    stored = store(tmp_path)
    CellScorer(stored.facts, stored.scope)(stored.table, Protocol.parse("R-to-R"))
    stored.scope.record_path("R-to-R").with_suffix(".npz").unlink()
    with pytest.raises(DataError, match="no per-query values"):
        Evaluation.read(stored.scope.record_path("R-to-R"))


def test_identities_are_those_of_both_sides(tmp_path: Path) -> None:
    a, b = evaluate(tmp_path, 1), evaluate(tmp_path, 2)
    relabelled = replace(b.values, identities=b.values.identities[::-1])
    for pair in ((a, Evaluation(b.record, relabelled)), (Evaluation(b.record, relabelled), a)):
        with pytest.raises(UsageError, match="identities of their queries differ"):
            compare([pair])


def test_values_of_another_record_are_refused(tmp_path: Path) -> None:
    first, second = (store(tmp_path / str(draw), draw, seed=draw) for draw in (1, 2))
    for stored in (first, second):
        CellScorer(stored.facts, stored.scope)(stored.table, Protocol.parse("R-to-NT"))
    paths = [stored.scope.record_path("R-to-NT") for stored in (first, second)]
    paths[0].with_suffix(".npz").write_bytes(paths[1].with_suffix(".npz").read_bytes())
    with pytest.raises(DataError, match=r"R-to-NT\.npz are not those of the record beside them"):
        Evaluation.read(paths[0])


def test_values_other_than_average_precision_cannot_be_altered_either(tmp_path: Path) -> None:
    stored = store(tmp_path)
    record = CellScorer(stored.facts, stored.scope)(stored.table, Protocol.parse("R-to-NT"))
    path = stored.scope.record_path("R-to-NT")
    values = read_values(path, record)
    ones = np.where(np.isnan(values.metrics.rank1), np.nan, 1.0)
    replace(values, metrics=replace(values.metrics, rank1=ones)).write(path.with_suffix(".npz"))
    with pytest.raises(DataError, match="are not those of the record"):
        Evaluation.read(path)
    assert stored.scope.believed("R-to-NT") is None
