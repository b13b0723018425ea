"""Pooled galleries against a literal reading, item by item and image by image."""

import numpy as np
import pytest
from numpy.typing import NDArray

from protocols.chance import chance
from protocols.evaluation import evaluate
from protocols.exclusion import Exclusion
from protocols.modality import RNT, Modality, N, R, T
from protocols.names import UnknownNameError
from protocols.pooled import PooledGallery
from protocols.ranking import rank
from protocols.suites import resolve
from protocols.trial import Trial, trial_of
from tests.protocols import naive
from tests.protocols.cases import labels

ITEMS = 12


def pooled(rng: np.random.Generator, setting: PooledGallery) -> tuple[Trial, NDArray[np.uint8]]:
    """Return the trial of items of which some lack a sensor, all of them queries and gallery items."""
    available = rng.integers(1, 8, size=ITEMS).astype(np.uint8)
    rows = np.arange(ITEMS)
    return trial_of(setting, rows.astype(np.str_), available, rows, rows, RNT), available


@pytest.mark.parametrize("same", ["none", "camera", "scene"])
def test_equals_a_literal_reading_with_ties(same: str) -> None:
    rng, compared = np.random.default_rng(7), 0
    for setting in map(PooledGallery, RNT):
        (trial, available), known = pooled(rng, setting), labels(rng, ITEMS, 3, 2, 2)
        exclusion = setting.exclusion(Exclusion(same), np.unique(known.camera))
        vectors = {sensor: rng.integers(2, size=(ITEMS, 3)).astype(np.float64) for sensor in RNT}
        own = [
            vectors[Modality(int(code))][row] for row, code in zip(trial.gallery, trial.gallery_sensors, strict=True)
        ]
        scores = vectors[setting.query][trial.query] @ np.array(own).T
        found = evaluate(rank(scores, known.take(trial.query), known.take(trial.gallery), exclusion))
        for place, query in enumerate(trial.query.tolist()):
            seen, positive = [], []
            for item in range(ITEMS):
                for sensor in RNT:
                    if sensor.value & available[item] and known.camera[item] != known.camera[query]:
                        right = bool(known.identity[item] == known.identity[query])
                        if right and same == "scene" and known.scene[item] == known.scene[query]:
                            continue
                        seen.append(float(vectors[setting.query][query] @ vectors[sensor][item]))
                        positive.append(right)
            assert found.items[place] == len(seen)
            wanted = naive.expected(naive.average_precision, seen, positive) if len(seen) < 15 else None
            if wanted is not None:
                np.testing.assert_allclose(found.ap[place], wanted, rtol=1e-12)
                compared += any(positive)
    assert compared


def test_queries_have_one_sensor_and_items_an_image_for_each_of_theirs() -> None:
    trial, available = pooled(np.random.default_rng(1), PooledGallery(N))
    assert trial.query.tolist() == np.flatnonzero(available & N.value).tolist()
    images = list(zip(trial.gallery.tolist(), trial.gallery_sensors.tolist(), strict=True))
    assert images == [(row, m.value) for row in range(ITEMS) for m in (R, N, T) if m.value & available[row]]


def test_a_constant_scorer_is_at_chance() -> None:
    known = labels(np.random.default_rng(3), 30, 4, 3)
    gallery = known.take(np.repeat(np.arange(30), 3))
    exclusion = PooledGallery(R).exclusion(Exclusion.CAMERA, np.unique(known.camera))
    found = evaluate(rank(np.zeros((30, 90)), known, gallery, exclusion))
    expected = chance(found.positives, found.items)
    np.testing.assert_allclose(found.ap, expected.ap, rtol=1e-12)
    np.testing.assert_allclose(found.rank1, expected.rank1, rtol=1e-12)


def test_names() -> None:
    assert resolve(["pooled"], R | T) == (PooledGallery(R), PooledGallery(T))
    assert resolve(["Pooled-n"]) == (PooledGallery(N),)
    assert [str(setting) for setting in resolve(["pooled"])] == ["pooled-R", "pooled-N", "pooled-T"]
    with pytest.raises(UnknownNameError, match="pooled-R"):
        resolve(["pooled-RN"])
    with pytest.raises(ValueError, match="one sensor"):
        PooledGallery(RNT)
