"""How alike the parts of an item are: measured before and after training, stored, kept through an interruption."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.embedding import decoupling
from mdreid_bench.embedding.decoupling import mean_similarity
from mdreid_bench.errors import UsageError
from mdreid_bench.losses.orthogonality import ideal_similarity, orthogonality_paper
from mdreid_bench.models.mdreid.method import MDReID
from mdreid_bench.models.method import Decoupling, Encoded
from mdreid_bench.progress import Silent
from mdreid_bench.results.decoupling import PartSimilarities, distance
from mdreid_bench.results.run_log import RunLog
from mdreid_bench.results.store import Store
from mdreid_bench.runs.decoupling import watch_start
from mdreid_bench.runs.run import Run
from protocols.modality import RNT
from tests.runs.test_execute import _execute, _runs

CPU = torch.device("cpu")


def stored(run: Run) -> PartSimilarities:
    found = PartSimilarities.read(run.store.folder(run.id).decoupling)
    assert found is not None
    return found


class _Fixed(MDReID):
    """Has parts that can be checked by hand: item i's are those of row i of a table."""

    table = torch.randn(300, 6, 4, generator=torch.Generator().manual_seed(0))
    seen = 0

    def parts(self, encoded: Encoded) -> Tensor:
        first, type(self).seen = self.seen, self.seen + len(encoded["R"])
        return self.table[first : self.seen]


def test_the_mean_is_that_of_the_items_that_are_looked_at(
    planted: DatasetIndex, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoupling, "_BATCH", 3)
    monkeypatch.setattr(decoupling, "MOST_ITEMS", 7)
    (run,) = _runs(planted, folder, methods=("mdreid",))
    monkeypatch.setattr("mdreid_bench.models.registry.get", lambda name: _Fixed)
    method = run.build()
    wanted = method.decoupling()
    assert wanted is not None
    found, items = mean_similarity(method, wanted, planted, RNT, run.config, CPU)
    unit = F.normalize(_Fixed.table[:7], dim=-1)
    assert items == _Fixed.seen == 7 < len(planted.test)
    assert found == pytest.approx((unit @ unit.transpose(1, 2)).mean(0).numpy(), abs=1e-6)
    limited = planted.limited(len(planted.test) - 1)
    assert mean_similarity(method, wanted, limited, RNT, run.config, CPU)[1] == 7

    with pytest.raises(
        UsageError, match=r"mdreid breaks its contract: parts of the shape \(3, 6, 4\), which must be"
    ):
        mean_similarity(method, Decoupling(("one",), np.eye(1, dtype=np.float32)), planted, RNT, run.config, CPU)


def test_a_run_has_them_before_and_after_its_training(planted: DatasetIndex, folder: Path) -> None:
    whole, single = _runs(planted, folder)
    (shared,) = _runs(planted, folder, ("options.components=shared",), methods=("mdreid",))
    _execute(shared, "R-to-N")
    _execute(single, "R-to-N")
    found = stored(whole)
    assert found.names == ("specific R", "specific N", "specific T", "shared R", "shared N", "shared T")
    assert found.before != found.after
    untrained = whole.build()
    wanted = untrained.decoupling()
    assert wanted is not None
    start, items = mean_similarity(untrained, wanted, planted, RNT, whole.config, CPU)
    assert found.items == items
    assert np.array(found.before) == pytest.approx(start)
    assert np.array(found.ideal) == pytest.approx(wanted.ideal)
    assert stored(shared) == found  # of the same weights
    assert not single.store.folder(single.id).decoupling.exists()
    log = whole.store.folder(shared.id).log.read_text(encoding="utf-8")
    assert "test items before training, at a distance of 0." in log
    assert log.count("specific R  ") == 2


def test_given_weights_have_no_before(planted: DatasetIndex, folder: Path, tmp_path: Path) -> None:
    run = _runs(planted, folder, methods=("mdreid",))[0]
    _execute(run, "R-to-N")
    given = replace(run, weights=run.training_folder.weights, store=Store(tmp_path / "other"))
    _execute(given, "R-to-N")
    assert stored(given).before is None
    assert stored(given).after == stored(run).after


def test_a_training_that_goes_on_keeps_what_was_measured_at_its_start(planted: DatasetIndex, folder: Path) -> None:
    run, other = (_runs(planted, folder, seeds=(seed,), methods=("mdreid",))[0] for seed in (1, 2))
    log = RunLog(folder / "run.log", Silent())
    watch_start(run, run.build(), CPU, log)
    place = run.training_folder.decoupling
    start = place.read_bytes()
    watch_start(run, other.build(), CPU, log)
    assert place.read_bytes() == start
    place.write_text("{", encoding="utf-8")
    watch_start(run, run.build(), CPU, log)
    assert place.read_bytes() == start
    _execute(run, "R-to-N")
    assert place.read_bytes() == start
    first = PartSimilarities.read(place)
    assert first is not None
    assert (first.before, first.after) == (stored(run).before, None)


def test_the_distance_is_rol_in_the_papers_form() -> None:
    vectors = torch.randn(1, 6, 8, generator=torch.Generator().manual_seed(0))
    unit, ideal = F.normalize(vectors, dim=-1)[0], ideal_similarity(3)
    assert distance(unit @ unit.T, ideal) == pytest.approx(float(orthogonality_paper(vectors)) / 36)
    assert (distance(np.ones((6, 6)), ideal), distance(ideal, ideal)) == pytest.approx((2 / 3, 0))


def test_matrices_that_do_not_fit_are_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "run" / "decoupling.json"
    whole = PartSimilarities(names=("a", "b"), ideal=((1, 0), (0, 1)), items=3, after=((1, 0.5), (0.5, 1)))
    whole.write(path)
    assert PartSimilarities.read(path) == whole
    whole.model_copy(update={"before": ((1.0,),)}).write(path)
    assert PartSimilarities.read(path) is None
    assert PartSimilarities.read(tmp_path / "none.json") is None
