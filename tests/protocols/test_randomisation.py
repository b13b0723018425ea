"""The randomisation test against enumeration and under the null; Holm and letters against what defines them."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.randomisation import Luck, holm, letters, luck_of, p_values

LEVEL = 0.05


@pytest.mark.parametrize("draw", range(20))
def test_it_agrees_with_exhaustive_enumeration(draw: int) -> None:
    """Parts of few values, so that sums are often tied with the one that was seen."""
    differences = np.random.default_rng(draw).integers(-3, 5, (3, 6)) / 4
    signs = np.array(list(product((-1, 1), repeat=6)))
    observed = np.abs(differences.sum(axis=1))
    exact = (np.abs(signs @ differences.T) >= observed).mean(axis=0)
    found = p_values(differences, permutations=4000)
    assert np.abs(found - exact).max() < 5 * 0.5 / np.sqrt(4000) + 1 / 4000


def test_it_is_one_plus_count_over_one_plus_draws() -> None:
    assert p_values(np.zeros((1, 4)), permutations=99).tolist() == [1.0]
    strong = np.full((1, 40), 0.1)
    assert p_values(strong, permutations=99).tolist() == [0.01]


def test_equal_seeds_give_equal_digits_and_signs_do_not_matter() -> None:
    parts = np.random.default_rng(3).normal(size=(2, 20))
    assert (p_values(parts, seed=4) == p_values(parts, seed=4)).all()
    assert (p_values(parts, seed=4) == p_values(-parts, seed=4)).all()
    assert (p_values(parts, seed=4) != p_values(parts, seed=5)).any()


def test_draws_in_blocks_are_all_counted() -> None:
    parts = np.random.default_rng(3).normal(size=(1, 8))
    exact = (np.abs(np.array(list(product((-1, 1), repeat=8))) @ parts.T) >= abs(parts.sum())).mean()
    assert p_values(parts, permutations=10_500)[0] == pytest.approx(exact, abs=0.02)


def rejected(cases: int, seeds: int, luck: float, own: float, lasting: float = 0.1) -> float:
    """Return how often two methods that are equally good are found to differ.

    Args:
        cases: simulated comparisons on 20 identities.
        luck: standard deviation of a whole training.
        own: of what a training makes of single identities.
        lasting: of what a method makes of an identity with every seed.
    """
    rng, found = np.random.default_rng(7), 0
    for case in range(cases):
        values = rng.normal(0, lasting, (2, 1, 20)) + rng.normal(0, luck, (2, seeds, 1))
        values = (values + rng.normal(0, own, (2, seeds, 20))) / 20
        difference = (values[0] - values[1]).mean(axis=0, keepdims=True)
        estimate = luck_of(list(values), [(0, 1)])
        found += p_values(difference, estimate, permutations=399, seed=case)[0] <= LEVEL
    return found / cases


@pytest.mark.parametrize(
    ("seeds", "luck", "own", "lasting"),
    [(1, 0.0, 0.1, 0.1), (3, 0.0, 0.05, 0.1), (3, 0.02, 0.05, 0.03)],
)
def test_it_keeps_its_level_on_a_thousand_null_cases(seeds: int, luck: float, own: float, lasting: float) -> None:
    assert rejected(1000, seeds, luck, own, lasting) == pytest.approx(LEVEL, abs=0.015)


def test_the_luck_of_training_is_not_taken_for_a_difference() -> None:
    """With 1.0 points of luck for the mean of 20 identities, exchanging identities alone finds differences often."""
    assert rejected(300, 3, luck=0.1, own=0.02, lasting=0.02) <= LEVEL + 0.015
    rng, found = np.random.default_rng(7), 0
    for case in range(300):
        values = rng.normal(0, 0.02, (2, 1, 20)) + rng.normal(0, 0.1, (2, 3, 1)) + rng.normal(0, 0.02, (2, 3, 20))
        found += p_values((values[0] - values[1]).mean(axis=0, keepdims=True), None, 399, case)[0] <= LEVEL
    assert found / 300 > 0.5


def test_luck_is_the_variance_between_runs_less_what_single_identities_explain() -> None:
    """By hand: means 1, 3 and 2, 2; rests of 0; 2 degrees of freedom; each mean is over 2 runs."""
    runs = [np.array([[0.5, 0.5], [1.5, 1.5]]), np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([[4.0, 0.0]])]
    found = luck_of(runs, [(0, 1), (0, 2), (1, 2)])
    assert found.degrees == 1  # the second method has runs that are all alike, the third has one
    assert found.variances.tolist() == [1.0, 1.0, 0.0]
    untrained = luck_of(runs, [(0, 1)], [False, True, True])
    assert (untrained.degrees, untrained.variances.tolist()) == (0, [0.0])
    rng = np.random.default_rng(0)
    apart = rng.normal(0, 0.5, (4000, 1)) / 10 + rng.normal(0, 1.0, (4000, 10)) / 10
    (variance,) = luck_of([apart, np.zeros((1, 10))], [(0, 1)]).variances * 4000
    assert variance == pytest.approx(0.25, rel=0.1)


def test_without_luck_nothing_is_drawn_of_it() -> None:
    parts = np.random.default_rng(3).normal(size=(2, 20))
    assert (p_values(parts, Luck(np.zeros(2), 4)) == p_values(parts)).all()
    assert (p_values(parts, Luck(np.ones(2), 0)) == p_values(parts)).all()


def test_holm_by_hand() -> None:
    """The example of statsmodels' multipletests: 0.01, 0.04, 0.03, 0.005 -> 0.03, 0.06, 0.06, 0.02."""
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.5, 0.9])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).tolist() == []


@given(st.integers(1, 8), st.integers(0, 10**6))
def test_holm_is_its_step_down_procedure(count: int, draw: int) -> None:
    """Literally: going up from the smallest, reject while it is at most level / those left; then stop."""
    rng = np.random.default_rng(draw)
    p = rng.integers(0, 40, count) / rng.choice([40, 400])  # some are equal
    corrected = holm(p)
    for level in (0.01, 0.05, 0.2):
        left, expected = len(p), np.zeros(len(p), dtype=bool)
        for place in np.argsort(p, kind="stable"):
            if p[place] * left > level:
                break
            expected[place], left = True, left - 1
        assert ((corrected <= level) == expected).all()


@given(st.integers(1, 7), st.integers(0, 2**21 - 1))
def test_methods_share_a_letter_where_they_are_not_different_and_only_there(count: int, bits: int) -> None:
    different = np.zeros((count, count), dtype=bool)
    for place, (a, b) in enumerate(combinations(range(count), 2)):
        different[a, b] = different[b, a] = bits >> place & 1
    given_letters = letters(different)
    for a, b in combinations(range(len(different)), 2):
        assert bool(set(given_letters[a]) & set(given_letters[b])) != different[a, b]
    assert all(given_letters)
    assert given_letters[0][0] == "a"


def test_letters_of_a_chain() -> None:
    """The ends of a chain are different, neighbours are not."""
    different = np.array([[False, False, True], [False, False, False], [True, False, False]])
    assert letters(different) == ["a", "ab", "b"]
    assert letters(np.zeros((3, 3), dtype=bool)) == ["a", "a", "a"]
    assert letters(~np.eye(28, dtype=bool))[25:] == ["z", "a2", "b2"]
