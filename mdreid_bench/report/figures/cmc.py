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
from mdreid_bench.report.variants import PERCENT, Variant, by_seeds
from mdreid_bench.results.store import read_values
from protocols.modality import RNT, Modality
from protocols.protocol import Protocol
from protocols.suites import suite

DEPTH = 50
"""Largest k drawn."""
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
    lost: list[str] = []
    protocols = list(map(str, drawn_protocols(group.sensors)))
    variants = list(by_seeds(group.variants, protocols))
    for protocol in protocols:
        for variant in variants:
            try:
                curve = _curve(variant, protocol, place)
            except DataError as error:
                lost.append(f"{variant.label}, {protocol} is not drawn: {error}")
            else:
                if curve is not None:
                    panels.setdefault(protocol, {})[variant.label] = curve
    if not panels:
        return None
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


def _curve(variant: Variant, protocol: str, place: Locate) -> NDArray[np.float64] | None:
    """Return the mean over the seeds, in percent; None when the protocol was not run or kept no values."""
    records = [record for record in variant.records.get(protocol, ()) if record.per_query]
    if not records:
        return None
    curves = [expected_cmc(read_values(place(record), record).metrics.first_hit_rank) for record in records]
    return np.asarray(PERCENT * np.mean(curves, axis=0), dtype=np.float64)


def _draw(panels: dict[str, dict[str, NDArray[np.float64]]], title: str) -> str:
    drawing = figure((3.2 * len(panels) + 1.2, 3.2))
    axes = drawing.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    labels: Sequence[str] = list(dict.fromkeys(label for lines in panels.values() for label in lines))
    colours = {label: f"C{number % 10}" for number, label in enumerate(labels)}
    for axis, (protocol, lines) in zip(axes, panels.items(), strict=True):
        for label, curve in lines.items():
            axis.plot(np.arange(1, DEPTH + 1), curve, color=colours[label], label=label, linewidth=1.3)
        axis.set(title=protocol, xlabel="k", xlim=(1, DEPTH), ylim=(0, 101))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("queries with a hit [%]")
    axes[-1].legend(fontsize=7, loc="lower right")
    drawing.suptitle(title, fontsize=9)
    stream = io.BytesIO()
    save(drawing, stream, "svg")
    return stream.getvalue().decode()
