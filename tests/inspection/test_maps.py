"""Where points of a map stand, and which items are on it."""

import numpy as np
import pytest

from mdreid_bench.errors import UsageError
from mdreid_bench.inspection.maps import IDENTITIES, PER_SIDE, map_of_sides, project, spaced
from tests.inspection.cases import compared


def test_the_first_direction_is_that_of_the_largest_variance() -> None:
    """Points on a line keep their distances; the sign is the library's."""
    along = np.array([-3.0, -1, 0, 4])
    vectors = (along[:, None] * np.array([0.6, 0, 0.8])).astype(np.float32)
    places, axes = project(vectors, "pca")
    np.testing.assert_allclose(np.abs(places[:, 0] - places[2, 0]), np.abs(along), atol=1e-5)
    np.testing.assert_allclose(places[:, 1], 0, atol=1e-5)
    assert "100 %" in axes[0]


@pytest.mark.parametrize("shape", [(1, 3), (2, 1), (3, 1)])
def test_few_points_and_short_vectors_have_a_place(shape: tuple[int, int]) -> None:
    places, _ = project(np.ones(shape, dtype=np.float32), "pca")
    assert places.shape == (shape[0], 2)
    assert np.isfinite(places).all()


def test_a_tsne_is_the_same_each_time_and_needs_some_points() -> None:
    vectors = np.random.default_rng(0).normal(size=(12, 6)).astype(np.float32)
    assert np.array_equal(project(vectors, "tsne")[0], project(vectors, "tsne")[0])
    with pytest.raises(UsageError, match="use --projection pca"):
        project(vectors[:4], "tsne")


def test_values_are_evenly_spaced() -> None:
    assert spaced(np.arange(9), 3).tolist() == [0, 4, 8]
    assert spaced(np.arange(2), 3).tolist() == [0, 1]
    assert spaced(np.arange(0), 3).tolist() == []


def test_a_map_has_whole_labels_of_both_sides() -> None:
    case = compared(1)
    found = map_of_sides(case, "pca")
    assert found.sides == ("query",) * 12 + ("gallery",) * 22
    assert found.rows.tolist() == [*range(12), *range(8, 30)]
    labels = case.items.labels
    assert found.colourings["identity"] == tuple(str(labels.identity[row]) for row in found.rows)
    assert found.colourings["camera"] == tuple(str(labels.camera[row]) for row in found.rows)
    assert found.colourings["sensors"] == ("query R",) * 12 + ("gallery NT",) * 22
    assert len(set(found.legend("identity").values())) == len(set(found.colourings["identity"])) <= IDENTITIES
    assert PER_SIDE >= 12
