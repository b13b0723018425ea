import numpy as np
import pytest
from numpy.typing import NDArray

from protocols.scoring import NonFiniteScoreError, check_finite, inner_products


def products(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    out = np.empty((len(left), len(right)), dtype=np.float32)
    inner_products(left, right, out)
    return out


@pytest.mark.parametrize("width", [1, 17, 100, 700])
def test_a_score_depends_on_its_two_vectors_alone(width: int) -> None:
    rng = np.random.default_rng(width)
    left = rng.standard_normal((1030, width)).astype(np.float32)
    right = rng.standard_normal((4100, width)).astype(np.float32)
    full = products(left, right)
    np.testing.assert_allclose(full, left.astype(np.float64) @ right.astype(np.float64).T, atol=1e-3)
    rows, columns = rng.permutation(1030), rng.permutation(4100)
    np.testing.assert_array_equal(products(left[rows], right[columns]), full[rows][:, columns])
    np.testing.assert_array_equal(products(left[7:8], right[3:5]), full[7:8, 3:5])
    np.testing.assert_array_equal(products(right[:1030], left), products(left, right[:1030]).T)


def test_a_gallery_scored_with_itself_is_symmetric() -> None:
    right = np.random.default_rng(0).standard_normal((1024, 100)).astype(np.float32)
    scores = products(right, right)
    np.testing.assert_array_equal(scores, scores.T)
    np.testing.assert_array_equal(scores[:5], products(right[:5], right))


def test_half_precision_is_widened_before_the_product() -> None:
    rng = np.random.default_rng(1)
    left, right = rng.standard_normal((3, 40)).astype(np.float32), rng.standard_normal((9, 40)).astype(np.float16)
    out = np.empty((3, 9), dtype=np.float32)
    inner_products(left, right, out)
    np.testing.assert_array_equal(out, products(left, right.astype(np.float32)))


def test_first_fault_is_named_with_the_numbers_of_the_whole() -> None:
    scores = np.zeros((4, 5))
    check_finite(scores)
    check_finite(scores[:, :0])
    scores[2, 3], scores[3, 0] = -np.inf, np.nan
    with pytest.raises(NonFiniteScoreError, match="query 12 with gallery item 103 is -inf"):
        check_finite(scores, first_query=10, first_gallery=100)
