"""CMC curves: the share of queries whose first hit is among the best k."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.errors import DataError
from mdreid_bench.report.figures.drawing import figure, save
from mdreid_bench.report.groups import Group, Locate
from mdreid_bench.report.quantities import CHANCE
from mdreid_bench.report.titles import dataset_card
from mdreid_bench.report.variants import PERCENT, Variant, by_seeds
from mdreid_bench.results.store import read_values
from protocols.arrays import Counts
from protocols.chance import random_order
from protocols.metrics.cmc import rank_k
from protocols.modality import RNT, Modality
from protocols.protocol import Protocol
from protocols.suites import suite

DEPTH = 50
"""Largest k drawn."""
SHALLOWEST, SAME = 10, 1.0
"""Least k drawn, and the percentage points below which curves are the same to the eye."""
TIES = (
    "CMC at k is the share of queries whose first hit stands at rank k or better; a first hit tied with other items "
    "counts at its expected rank."
)


@dataclass(frozen=True)
class CurveFigure:
    """One drawing as SVG, a panel for each protocol and a line for each method, and the notes on how to read it."""

    title: str
    svg: str
    notes: tuple[str, ...]


def curve_figure(group: Group, place: Locate) -> CurveFigure | None:
    """Draw the protocols of :func:`drawn_protocols`; None when no values of queries are stored."""
    panels: dict[str, dict[str, NDArray[np.float64]]] = {}
    floors: dict[str, NDArray[np.float64]] = {}
    lost: list[str] = []
    protocols = list(map(str, drawn_protocols(group.sensors)))
    variants = list(by_seeds(group.variants, protocols))
    for protocol in protocols:
        for variant in variants:
            try:
                curve, floor = _curve(variant, protocol, place)
            except DataError as error:
                lost.append(f"{variant.label}, {protocol} is not drawn: {error}")
            else:
                if curve is not None:
                    panels.setdefault(protocol, {})[variant.label] = curve
                    floors[protocol] = floor
    if not panels:
        return None
    card = dataset_card(group.dataset)
    if card is None or card.cmc == "items":
        for protocol, lines in panels.items():
            lines[CHANCE] = floors[protocol]
    return CurveFigure(f"CMC, {group.title}", _draw(panels, group.title), (TIES, *lost))


def drawn_protocols(sensors: Modality) -> tuple[Protocol, ...]:
    """Return what is drawn for a dataset: the paper's matched and mismatched protocols.

    Where sensors for these are lacking, all sensors on both sides, then each sensor against each other one.
    """
    if RNT in sensors:
        return (*suite("paper-matched"), *suite("paper-mismatched"))
    whole = (Protocol(sensors, sensors),) if sensors else ()
    return (*whole, *(Protocol(query, gallery) for query, gallery in permutations(sensors, 2)))


def expected_cmc(first_hit_rank: NDArray[np.floating], depth: int = DEPTH) -> NDArray[np.float64]:
    """Return the share of queries with a first hit among the best k, for k from 1 to ``depth``, ``(depth,)``.

    Args:
        first_hit_rank: ``(nq,)``; NaN for queries without a positive, which are left out. NaN results when all are.
        depth: largest k.
    """
    ranks = np.sort(first_hit_rank[~np.isnan(first_hit_rank)])
    hits = np.searchsorted(ranks, np.arange(1, depth + 1), side="right")
    return np.asarray(hits / len(ranks) if len(ranks) else np.full(depth, np.nan), dtype=np.float64)


def chance_cmc(positives: Counts, items: Counts, depth: int = DEPTH) -> NDArray[np.float64]:
    """Return what a random order reaches, ``(depth,)``: Rank-k for k from 1 to ``depth``.

    Args:
        positives: ``(nq,)``; queries without any are left out.
        items: ``(nq,)``, valid items of each query.
        depth: largest k.
    """
    found = positives > 0
    if not found.any():
        return np.full(depth, np.nan)
    ranking = random_order(positives[found], items[found])
    return np.asarray([rank_k(ranking, k).mean() for k in range(1, depth + 1)], dtype=np.float64)


def _curve(variant: Variant, protocol: str, place: Locate) -> tuple[NDArray[np.float64] | None, NDArray[np.float64]]:
    """Return the mean over the seeds and chance, in percent; None when nothing was run or kept no values."""
    records = [record for record in variant.records.get(protocol, ()) if record.per_query]
    if not records:
        return None, np.empty(0)
    metrics = [read_values(place(record), record).metrics for record in records]
    curve = PERCENT * np.mean([expected_cmc(found.first_hit_rank) for found in metrics], axis=0)
    return np.asarray(curve), PERCENT * chance_cmc(metrics[0].positives, metrics[0].items)


def _draw(panels: dict[str, dict[str, NDArray[np.float64]]], title: str) -> str:
    drawing = figure((3.2 * len(panels) + 1.2, 3.2))
    axes = drawing.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    labels: Sequence[str] = list(dict.fromkeys(label for lines in panels.values() for label in lines))
    colours = {label: f"C{number % 10}" for number, label in enumerate(labels)}
    depth = max(_telling([c for label, c in lines.items() if label != CHANCE]) for lines in panels.values())
    for axis, (protocol, lines) in zip(axes, panels.items(), strict=True):
        for label, curve in lines.items():
            style = {"color": "0.5", "linestyle": ":"} if label == CHANCE else {"color": colours[label]}
            axis.plot(np.arange(1, DEPTH + 1), curve, label=label, linewidth=1.3, **style)
        axis.set(title=protocol, xlabel="k", xlim=(1, depth), ylim=(0, 101))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("queries with a hit [%]")
    handles = {text: line for axis in axes for line, text in zip(*axis.get_legend_handles_labels(), strict=True)}
    axes[-1].legend(handles.values(), handles, fontsize=7, loc="center left", bbox_to_anchor=(1.02, 0.5))
    drawing.suptitle(title, fontsize=9)
    stream = io.BytesIO()
    save(drawing, stream, "svg")
    return stream.getvalue().decode()


def _telling(curves: Sequence[NDArray[np.float64]]) -> int:
    """Return the k up to which curves of one panel can be told apart, at least ``SHALLOWEST``."""
    apart = np.flatnonzero(np.ptp(np.stack(curves), axis=0) >= SAME)
    return max(SHALLOWEST, min(int(apart[-1]) + 2 if len(apart) else 0, DEPTH))
