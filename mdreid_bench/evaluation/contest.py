"""All pairs of several methods on the same queries: differences, p-values and who cannot be told apart.

docs/statistics.md says what is tested and how several seeds enter.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from mdreid_bench.errors import UsageError
from mdreid_bench.evaluation.compare import LEVEL, Evaluation, check_comparable
from mdreid_bench.results.schema import Repetition
from protocols.arrays import Counts, Values
from protocols.bootstrap import Difference, mean_intervals
from protocols.randomisation import holm, letters, luck_of, p_values

FIELDS = {"mAP": "ap", "mINP": "inp"} | {f"rank{k}": f"rank{k}" for k in (1, 5, 10, 20)}
"""Field of :class:`~mdreid_bench.results.schema.Metrics` -> of :class:`~protocols.evaluation.PerQuery`."""


@dataclass(frozen=True)
class Entrant:
    """A method in one configuration.

    Attributes:
        label: what it is called in tables.
        trained: whether another seed is another training; a method that is not trained may have fewer seeds.
        paths: protocol -> split and seed -> record.
    """

    label: str
    trained: bool
    paths: Mapping[str, Mapping[Repetition, Path]]


@dataclass(frozen=True)
class Pair:
    """Two methods, by their places among the entrants.

    Attributes:
        difference: of the first from the second, with its 95 % interval over identities.
        p: of the randomisation test.
        corrected: p after Holm's correction over all pairs of the standing.
    """

    a: int
    b: int
    difference: Difference
    p: float
    corrected: float


@dataclass(frozen=True)
class Standing:
    """One metric of all entrants under one protocol, or its mean over several; fractions.

    Attributes:
        name: of the protocol, or how many the mean is over.
        protocols: one, or those.
        means: of each entrant, over its seeds.
        intervals: of each mean, 95 %, over identities.
        spreads: sample standard deviation over seeds; None for one seed.
        letters: of each entrant; two that share one cannot be told apart.
        luck: standard deviation between trainings of one method, beyond what identities explain; None where unknown.
    """

    name: str
    protocols: tuple[str, ...]
    means: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...]
    spreads: tuple[float | None, ...]
    letters: tuple[str, ...]
    pairs: tuple[Pair, ...]
    luck: float | None


@dataclass(frozen=True, eq=False)
class _Sums:
    """The values of a protocol and split: sums over each identity's queries, ``(s, i)`` an entrant, and how many."""

    identities: Counts
    runs: list[Values]
    counts: Counts


def made_of(entrants: Sequence[Entrant], protocols: Sequence[str]) -> list[list[Repetition]]:
    """Return the splits and seeds with which each entrant enters: those that all trained ones have everywhere.

    One that was not trained enters with those it has, where it lacks some of them.

    Raises:
        UsageError: when the trained ones have none in common.
    """
    own = [set.intersection(*(set(one.paths[protocol]) for protocol in protocols)) for one in entrants]
    trained = [made for one, made in zip(entrants, own, strict=True) if one.trained]
    common = set.intersection(*(trained or own))
    if not common or not all(own):
        names = ", ".join(one.label for one in entrants)
        raise UsageError(f"{names} share no seed under {', '.join(protocols)}; run them with the same --seed.")
    return [
        sorted(common if one.trained or common <= made else made) for one, made in zip(entrants, own, strict=True)
    ]


def standings(
    entrants: Sequence[Entrant],
    protocols: Sequence[str],
    metric: str,
    step: Callable[[], object] = lambda: None,
    seed: int = 0,
) -> list[Standing]:
    """Compare all pairs under each protocol, and in the mean over all of them where there are several.

    Args:
        protocols: which all entrants have.
        metric: a key of :data:`FIELDS`.
        step: called when a record was read.
        seed: of the permutations.

    Raises:
        UsageError: when records were not made on the same test items, queries and form of AP, or lack the metric.
        DataError: when one must not be believed.
    """
    made, trained = made_of(entrants, protocols), [one.trained for one in entrants]
    by_protocol = {name: _of_protocol(entrants, name, made, metric, step) for name in protocols}
    found = [_standing((name,), cells, trained, seed) for name, cells in by_protocol.items()]
    if len(found) > 1:
        every = [cell for cells in by_protocol.values() for cell in cells]
        found.append(_standing(tuple(protocols), every, trained, seed))
    return found


def standing(entrants: Sequence[Entrant], protocols: Sequence[str], metric: str, seed: int = 0) -> Standing:
    """Compare all pairs under one protocol, or in the mean over several, as the last of :func:`standings`."""
    made, trained = made_of(entrants, protocols), [one.trained for one in entrants]
    cells = [cell for name in protocols for cell in _of_protocol(entrants, name, made, metric, lambda: None)]
    return _standing(tuple(protocols), cells, trained, seed)


def _of_protocol(
    entrants: Sequence[Entrant],
    protocol: str,
    made: Sequence[Sequence[Repetition]],
    metric: str,
    step: Callable[[], object],
) -> list[_Sums]:
    """Read the values of a protocol, split by split."""
    cells, splits = [], dict.fromkeys(split for split, _ in made[0])
    for split in splits:
        first: Evaluation | None = None
        runs: list[Values] = []
        for one, repetitions in zip(entrants, made, strict=True):
            rows = []
            for repetition in repetitions:
                if repetition[0] != split:
                    continue
                evaluation = Evaluation.read(one.paths[protocol][repetition])
                first = first or evaluation
                check_comparable(first, evaluation)
                rows.append(evaluation.values.by_query(getattr(evaluation.values.metrics, FIELDS[metric])))
                step()
            runs.append(np.array(rows))
        assert first is not None
        cells.append(_sums(first.values.identities[first.values.first], runs, metric))
    return cells


def _sums(identities: Counts, runs: Sequence[Values], metric: str) -> _Sums:
    names, place = np.unique(identities, return_inverse=True)
    valid = ~np.isnan(runs[0][0])
    if not valid.any():
        raise UsageError(f"Some of these records are older than {metric}; score them again with --force.")
    counts = np.bincount(place, weights=valid, minlength=len(names))
    member = np.zeros((len(place), len(names)))
    member[np.arange(len(place)), place] = valid
    return _Sums(names, [np.nan_to_num(values) @ member for values in runs], counts)


def _standing(protocols: tuple[str, ...], cells: Sequence[_Sums], trained: Sequence[bool], seed: int) -> Standing:
    identities = np.unique(np.concatenate([cell.identities for cell in cells]))
    counts = np.zeros((len(cells), len(identities)))
    entrants = len(cells[0].runs)
    sums = [np.zeros((len(cells), len(cells[0].runs[m]), len(identities))) for m in range(entrants)]
    for number, cell in enumerate(cells):
        place = np.searchsorted(identities, cell.identities)
        counts[number, place] = cell.counts
        for method, runs in enumerate(cell.runs):
            sums[method][number][:, place] = runs
    # What each identity adds to the mean, (seeds, identities) for each method.
    parts = [(found / counts.sum(axis=1)[:, None, None]).mean(axis=0) for found in sums]
    pairs = list(combinations(range(entrants), 2))
    means = [float(part.sum(axis=1).mean()) for part in parts]
    luck = luck_of(parts, pairs, trained)
    differences = np.array([parts[a].mean(axis=0) - parts[b].mean(axis=0) for a, b in pairs])
    p = p_values(differences.reshape(len(pairs), len(identities)), luck, seed=seed)
    corrected = holm(p)
    over_seeds = np.array([found.mean(axis=1) for found in sums])
    apart = np.array([over_seeds[a] - over_seeds[b] for a, b in pairs]).reshape(len(pairs), *counts.shape)
    intervals = mean_intervals(np.concatenate([over_seeds, apart]), counts, LEVEL)
    between = [
        Pair(a, b, Difference(means[a] - means[b], *interval), float(p[k]), float(corrected[k]))
        for k, ((a, b), interval) in enumerate(zip(pairs, intervals[entrants:], strict=True))
    ]
    spreads = [float(part.sum(axis=1).std(ddof=1)) if len(part) > 1 else None for part in parts]
    return Standing(
        name=protocols[0] if len(protocols) == 1 else f"mean of {len(protocols)}",
        protocols=protocols,
        means=tuple(means),
        intervals=tuple(intervals[:entrants]),
        spreads=tuple(spreads),
        letters=_letters(means, between),
        pairs=tuple(between),
        luck=float(np.sqrt(luck.variance)) if luck.degrees else None,
    )


def _letters(means: Sequence[float], pairs: Sequence[Pair]) -> tuple[str, ...]:
    """Return the letters, ``a`` for the best."""
    order = sorted(range(len(means)), key=lambda method: -means[method])
    rank = {method: place for place, method in enumerate(order)}
    different = np.zeros((len(means), len(means)), dtype=bool)
    for pair in pairs:
        if pair.corrected <= 1 - LEVEL + 1e-12:
            different[rank[pair.a], rank[pair.b]] = different[rank[pair.b], rank[pair.a]] = True
    found = letters(different)
    return tuple(found[rank[method]] for method in range(len(means)))
