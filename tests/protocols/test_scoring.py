from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from protocols import blas, scoring
from protocols.scoring import NonFiniteScoreError, check_finite, inner_products, release_pages


@pytest.fixture(params=["the way of this processor", "exact sums"])
def each_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "exact sums":
        monkeypatch.setattr(scoring, "openblas_kernels", lambda: None)


def products(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    out = np.empty((len(left), len(right)), dtype=np.float32)
    inner_products(left, right, out)
    return out


@pytest.mark.usefixtures("each_way")
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
    np.testing.assert_array_equal(products(left[::-1], np.asfortranarray(right)), full[::-1])
    turned = np.empty((4100, 1030), dtype=np.float32)
    inner_products(left, right, turned.T)
    np.testing.assert_array_equal(turned.T, full)


@pytest.mark.usefixtures("each_way")
def test_a_gallery_scored_with_itself_is_symmetric() -> None:
    right = np.random.default_rng(0).standard_normal((1024, 100)).astype(np.float32)
    scores = products(right, right)
    np.testing.assert_array_equal(scores, scores.T)
    np.testing.assert_array_equal(scores[:5], products(right[:5], right))


@pytest.mark.usefixtures("each_way")
def test_half_precision_is_widened_before_the_product() -> None:
    rng = np.random.default_rng(1)
    left, right = rng.standard_normal((3, 40)).astype(np.float32), rng.standard_normal((9, 40)).astype(np.float16)
    out = np.empty((3, 9), dtype=np.float32)
    inner_products(left, right, out)
    np.testing.assert_array_equal(out, products(left, right.astype(np.float32)))


def with_zeros(rng: np.random.Generator, count: int, width: int) -> NDArray[np.float32]:
    """Vectors in which some stretches are 0, all but the first row of one of them."""
    values = rng.standard_normal((count, width)).astype(np.float32)
    for first in (0, 0, 1):
        start, stop = np.sort(rng.integers(0, width + 1, 2))
        values[first:, start:stop] = 0
    return values


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("width", [16, 100, 736, 2048])
def test_leaving_out_what_is_zero_on_one_side_changes_no_bit(width: int) -> None:
    rng = np.random.default_rng(width)
    for _ in range(6):
        left, right = with_zeros(rng, 70, width), with_zeros(rng, 1040, width)
        # One more vector without zeros on either side, and nothing can be left out.
        dense = rng.standard_normal((1, width)).astype(np.float32)
        whole = products(np.concatenate([left, dense]), np.concatenate([right, dense]))
        np.testing.assert_array_equal(products(left, right), whole[:-1, :-1])


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("fault", [np.inf, np.nan])
def test_what_is_no_number_is_not_left_out(fault: float) -> None:
    left, right = np.ones((3, 96), dtype=np.float32), np.ones((5, 96), dtype=np.float32)
    left[:, :48] = 0
    right[2, 5] = fault
    assert np.isnan(products(left, right)[:, 2]).all()
    assert np.isfinite(np.delete(products(left, right), 2, axis=1)).all()


@pytest.mark.parametrize("length", [1, 32, 704, 2048])
def test_a_product_of_parts_is_that_of_the_whole(length: int) -> None:
    if (blas.openblas_kernels() or "") not in scoring._IN_ORDER:
        pytest.skip("these kernels add up in another order")
    rng = np.random.default_rng(length)
    left, right = (rng.standard_normal((rows, length)).astype(np.float32) for rows in (64, 1024))
    whole, parts = np.empty((2, 64, 1024), dtype=np.float32)
    blas.multiply(left, right, whole, add=False)
    for start, stop in pairwise([0, *blas.cuts(length), length]):
        blas.multiply(left[:, start:stop], right[:, start:stop], parts, add=start > 0)
    np.testing.assert_array_equal(parts, whole)
    np.testing.assert_allclose(whole, left.astype(np.float64) @ right.T, atol=1e-3)


def test_without_openblas_numpy_multiplies_and_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas, "_product", lambda: None)
    left, right = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones((4, 3), dtype=np.float32)
    out = np.empty((2, 4), dtype=np.float32)
    blas.multiply(left, right, out, add=False)
    blas.multiply(left, right, out, add=True)
    np.testing.assert_array_equal(out, 2 * left.sum(axis=1, keepdims=True).repeat(4, axis=1))


def vectors(rng: np.random.Generator, count: int, width: int, spread: int) -> NDArray[np.float32]:
    """Elements and rows of very different sizes; one row is zero."""
    values = rng.standard_normal((count, width)) * 2.0 ** rng.integers(-spread, spread + 1, size=(count, width))
    values *= 2.0 ** rng.integers(-15, 16, size=(count, 1))
    values[0] = 0
    return values.astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), width=st.integers(1, 300), spread=st.sampled_from([0, 3, 30]))
def test_exact_sums_know_no_order_and_stay_within_their_bound(seed: int, width: int, spread: int) -> None:
    rng = np.random.default_rng(seed)
    left, right = vectors(rng, 3, width, spread), vectors(rng, 5, width, spread)
    left[2], right[4] = 2.0**-140, 2.0**60
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "openblas_kernels", lambda: None)
        scores = products(left, right)
        order = rng.permutation(width)
        np.testing.assert_array_equal(products(left[:, order], right[:, order]), scores)
    norms = np.outer(*(np.linalg.norm(side.astype(np.float64), axis=1) for side in (left, right)))
    for row, column in np.ndindex(scores.shape):
        terms = zip(left[row].tolist(), right[column].tolist(), strict=True)
        exact = sum(Fraction(a) * Fraction(b) for a, b in terms)
        bound = 1.1 * 2.0**-26 * np.sqrt(width) * norms[row, column] + 2.0**-24 * abs(float(exact)) + 2.0**-149
        assert abs(float(Fraction(float(scores[row, column])) - exact)) <= bound


def test_first_fault_is_named_with_the_numbers_of_the_whole() -> None:
    scores = np.zeros((4, 5))
    check_finite(scores)
    check_finite(scores[:, :0])
    scores[2, 3], scores[3, 0] = -np.inf, np.nan
    with pytest.raises(NonFiniteScoreError, match="query 12 with gallery item 103 is -inf"):
        check_finite(scores, first_query=10, first_gallery=100)


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_releasing_pages_keeps_what_a_map_holds(tmp_path: Path, mode: Literal["r", "r+", "c"]) -> None:
    np.save(tmp_path / "map.npy", np.arange(6000.0))
    mapped = np.load(tmp_path / "map.npy", mmap_mode=mode)
    if mode != "r":
        mapped[1] = 7.0
    release_pages(mapped[10:])
    assert mapped[1] == (1.0 if mode == "r" else 7.0)
    assert mapped[5999] == 5999.0
