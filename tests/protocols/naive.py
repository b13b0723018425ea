"""Slow oracles: textbook metrics of one order, and their mean over every order of the tied items."""

from collections.abc import Callable, Iterator
from itertools import combinations, groupby, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocols.exclusion import Exclusion, Labels

Order = list[bool]
"""The valid items of one query from best to worst: True for a positive."""


def average_precision(order: Order) -> float:
    ranks = [place for place, hit in enumerate(order, start=1) if hit]
    return sum(number / place for number, place in enumerate(ranks, start=1)) / len(ranks)


def trapezoid_average_precision(order: Order) -> float:
    area, recall_before, precision_before, hits = 0.0, 0.0, 1.0, 0
    for place, hit in enumerate(order, start=1):
        hits += hit
        recall, precision = hits / sum(order), hits / place
        area += (recall - recall_before) * (precision_before + precision) / 2
        recall_before, precision_before = recall, precision
    return area


def rank_k(order: Order, k: int) -> float:
    return float(any(order[:k]))


def first_hit_rank(order: Order) -> float:
    return order.index(True) + 1.0


def inverse_negative_penalty(order: Order) -> float:
    last = max(place for place, hit in enumerate(order, start=1) if hit)
    return sum(order) / last


def orders(scores: list[float], positive: list[bool]) -> Iterator[Order]:
    """Yield every distinct arrangement of the tied items; all are equally likely."""
    items = sorted(zip(scores, positive, strict=True), key=lambda item: -item[0])
    groups = [[hit for _, hit in group] for _, group in groupby(items, key=lambda item: item[0])]
    choices = [list(combinations(range(len(group)), sum(group))) for group in groups]
    for chosen in product(*choices):
        yield [place in hits for group, hits in zip(groups, chosen, strict=True) for place in range(len(group))]


def expected(metric: Callable[[Order], float], scores: list[float], positive: list[bool]) -> float:
    """Average a metric over all orders; NaN when nothing is positive."""
    if not any(positive):
        return float("nan")
    values = [metric(order) for order in orders(scores, positive)]
    return sum(values) / len(values)


def visible(
    scores: NDArray[Any], query: Labels, gallery: Labels, exclusion: Exclusion, row: int
) -> tuple[list[float], list[bool]]:
    """Return scores and positive flags of the gallery items that one query may see, compared one by one."""
    kept_scores, positive = [], []
    for column in range(len(gallery)):
        same = bool(query.identity[row] == gallery.identity[column])
        camera = bool(query.camera[row] == gallery.camera[column])
        scene = bool(query.scene[row] == gallery.scene[column])
        if same and ((exclusion.same == "camera" and camera) or (exclusion.same == "scene" and scene)):
            continue
        if (query.camera[row], gallery.camera[column]) in exclusion.hidden:
            continue
        kept_scores.append(float(scores[row, column]))
        positive.append(same)
    return kept_scores, positive


def expected_values(
    metric: Callable[[Order], float], scores: NDArray[Any], query: Labels, gallery: Labels, exclusion: Exclusion
) -> NDArray[np.float64]:
    """Return the expectation of a metric for every query."""
    rows = (visible(scores, query, gallery, exclusion, row) for row in range(len(query)))
    return np.array([expected(metric, *row) for row in rows])
