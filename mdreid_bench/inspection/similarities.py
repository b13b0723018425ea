"""How similar right pairs are, and how similar wrong ones: two histograms over the same bins."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.inspection.compared import Compared, Kind
from mdreid_bench.inspection.strips import COLOURS
from mdreid_bench.report.figures.drawing import figure
from protocols.arrays import Counts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 60


@dataclass(frozen=True, eq=False)
class Histogram:
    """Pairs of a query and a gallery item by their similarity; excluded pairs are left out.

    Attributes:
        edges: ``(bins + 1,)`` borders of bins of equal width, from the lowest similarity to the highest; a bin holds
            its lower border, the last one its upper border too.
        right: ``(bins,)`` pairs of one identity.
        wrong: ``(bins,)`` pairs of two.
    """

    edges: NDArray[np.float64]
    right: Counts
    wrong: Counts


def histogram(compared: Compared, bins: int = BINS) -> Histogram:
    """Count all pairs, chunk by chunk: once for the range, once for the bins."""
    low, high = np.inf, -np.inf
    for places in compared.chunks():
        seen = compared.similarities(places)[compared.kinds(places) != Kind.EXCLUDED]
        low, high = min(low, seen.min(initial=np.inf)), max(high, seen.max(initial=-np.inf))
    edges = np.histogram_bin_edges(np.array([low, high], dtype=np.float64), bins)
    right, wrong = np.zeros((2, bins), dtype=np.int64)
    for places in compared.chunks():
        scores, kinds = compared.similarities(places).astype(np.float64), compared.kinds(places)
        right += np.histogram(scores[kinds == Kind.RIGHT], edges)[0]
        wrong += np.histogram(scores[kinds == Kind.WRONG], edges)[0]
    return Histogram(edges, right, wrong)


def draw(counted: Histogram, title: str) -> "Figure":
    """Draw both as shares of their own pairs, because there are many more wrong pairs than right ones."""
    drawing = figure((5.6, 3.2))
    axis = drawing.subplots()
    for kind, values, line in ((Kind.WRONG, counted.wrong, "--"), (Kind.RIGHT, counted.right, "-")):
        shares = 100 * values / max(1, values.sum())
        name = f"{kind.name.lower()} pairs ({values.sum():,})"
        axis.stairs(shares, counted.edges, fill=True, color=COLOURS[kind], alpha=0.25)
        axis.stairs(shares, counted.edges, color=COLOURS[kind], linewidth=1.4, linestyle=line, label=name)
    axis.set(xlabel="similarity", ylabel="share of the pairs of this kind [%]")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7)
    axis.set_title(title, fontsize=8, wrap=True)
    return drawing
