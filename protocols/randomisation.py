"""Paired randomisation test of methods on the same queries, with whole identities as units; docs/statistics.md.

Under the null hypothesis it does not matter which of two methods produced which values: those of all queries of one
identity, under all seeds and protocols, may be exchanged together. Queries of one identity resemble each other, and a
method that suits an identity does so with every seed; exchanging less than that finds differences where none are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protocols.arrays import Values

PERMUTATIONS = 10_000
_BLOCK = 1000
"""Exchanges that are drawn at once, which bounds the memory."""
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Luck:
    """How much the means of two methods differ by the luck of their trainings alone.

    Attributes:
        variances: ``(c,)`` of each difference; 0 where it is unknown, or nothing was trained.
        degrees: of freedom of the estimate behind them; 0 when there is none.
        variance: of a single training.
    """

    variances: Values
    degrees: int
    variance: float = 0.0


def p_values(
    differences: Values, luck: Luck | None = None, permutations: int = PERMUTATIONS, seed: int = 0
) -> Values:
    """Return the two-sided p-value of each of several differences.

    In each of ``permutations`` draws, every identity's part of a difference gets a random sign, the same in all
    differences, and to their sum the luck of training is added, as large as it was seen to be: its standard
    deviation times a draw from Student's t. p = (1 + count) / (1 + permutations), where the count is of draws at
    least as far from 0 as the sum of the parts as they are.

    Args:
        differences: ``(c, i)`` what each of i identities adds to each of c differences of means.
        luck: of training; None for methods as they were trained.
        permutations: number of draws.
        seed: of the draws.
    """
    signs_from, luck_from = np.random.default_rng(seed).spawn(2)
    observed = np.abs(differences.sum(axis=1))
    threshold = observed - _ROUNDING * np.abs(differences).sum(axis=1)
    counts = np.zeros(len(differences))
    for start in range(0, permutations, _BLOCK):
        size = min(_BLOCK, permutations - start)
        signs = signs_from.integers(2, size=(differences.shape[1], size)) * 2.0 - 1.0
        drawn = differences @ signs
        if luck is not None and luck.degrees:
            drawn += np.sqrt(luck.variances)[:, None] * luck_from.standard_t(luck.degrees, size)
        counts += (np.abs(drawn) >= threshold[:, None]).sum(axis=1)
    return (1 + counts) / (1 + permutations)


def luck_of(runs: list[Values], pairs: list[tuple[int, int]], trained: Sequence[bool] = ()) -> Luck:
    """Estimate the luck of training from the runs of several methods, each on the same identities.

    Runs of a method differ as a whole, which is luck, and by what they make of single identities, which the exchange
    of identities has in it already; the second part is taken off. The variance is that of all methods together, for
    few seeds tell little. Methods with one run, or with runs that are all alike, have none.

    Args:
        runs: for each method ``(s, i)``, what each identity adds to the mean of each of its s runs.
        pairs: of methods, in whose differences the luck is wanted.
        trained: which of the methods are trained; without any, all of them.
    """
    spread, own, degrees, lucky = 0.0, 0.0, 0, [False] * len(runs)
    for method, values in enumerate(runs):
        count = len(values)
        if count > 1 and (not trained or trained[method]) and (values != values[0]).any():
            means = values.sum(axis=1)
            spread += float(((means - means.mean()) ** 2).sum())
            rest = values - values.mean(axis=0) - (means - means.mean())[:, None] / values.shape[1]
            # The sum of i independent parts varies i times as much as each.
            own += float((rest**2).sum()) * values.shape[1] / max(values.shape[1] - 1, 1)
            degrees += count - 1
            lucky[method] = True
    variance = max(spread - own, 0.0) / degrees if degrees else 0.0
    parts = [variance / len(values) if own_luck else 0.0 for values, own_luck in zip(runs, lucky, strict=True)]
    return Luck(np.array([parts[a] + parts[b] for a, b in pairs]), degrees, variance)


def holm(p: Values) -> Values:
    """Return the p-values of a family ``(c,)``, corrected for that one false finding in it is one too many.

    Holm 1979: the k-th smallest of c is multiplied by c - k + 1; none is smaller than one before it, or above 1.
    """
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(raised, 1.0)
    return corrected


def letters(different: NDArray[np.bool_]) -> list[str]:
    """Return the letters of n methods: two share one if and only if they were not found to be different.

    A letter stands for a largest set of methods of which no two are different, found by insertion and absorption
    (Piepho 2004). The first method has an ``a``; after ``z`` comes ``a2``.

    Args:
        different: ``(n, n)``, symmetric.
    """
    groups = [frozenset(range(len(different)))]
    for a, b in zip(*np.nonzero(np.triu(different, 1)), strict=True):
        split = [group - {one} for group in groups if {a, b} <= group for one in (a, b)]
        kept = {group for group in groups if not {a, b} <= group} | set(split)
        groups = [group for group in kept if not any(group < other for other in kept)]
    names = [f"{chr(ord('a') + k % 26)}{k // 26 + 1 if k >= 26 else ''}" for k in range(len(groups))]
    named = list(zip(names, sorted(groups, key=sorted), strict=True))
    return ["".join(name for name, group in named if method in group) for method in range(len(different))]
