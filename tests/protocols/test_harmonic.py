from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.harmonic import reciprocal_sum


def single(above: int, size: int) -> float:
    return float(reciprocal_sum(np.array([above]), np.array([size]))[0])


@settings(max_examples=60, deadline=None)
@given(above=st.integers(0, 300), size=st.integers(0, 150))
def test_equals_the_sum_in_exact_fractions(above: int, size: int) -> None:
    exact = sum((Fraction(1, above + place) for place in range(1, size + 1)), Fraction(0))
    assert single(above, size) == pytest.approx(float(exact), rel=1e-13, abs=0)


@pytest.mark.parametrize(("above", "size"), [(10**6, 2), (10**7, 1), (10**6, 1000), (63, 1), (64, 1), (0, 10**6)])
def test_few_terms_far_down_keep_their_precision(above: int, size: int) -> None:
    exact = sum(Fraction(1, above + place) for place in range(1, min(size, 1000) + 1))
    if size > 1000:
        assert single(above, size) == pytest.approx(np.log(size) + np.euler_gamma + 0.5 / size, rel=1e-12)
    else:
        assert single(above, size) == pytest.approx(float(exact), rel=1e-13, abs=0)
