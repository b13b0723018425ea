"""Maps of embeddings: their two main directions (PCA), or a t-SNE of them, with what each point is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.data.items import Items
from mdreid_bench.embedding.stored import EmbeddingFolder, StoredItems
from mdreid_bench.errors import UsageError
from mdreid_bench.inspection.compared import Compared
from mdreid_bench.report.figures.drawing import figure
from protocols.arrays import Counts
from protocols.modality import Modality

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Projection = Literal["pca", "tsne"]
IDENTITIES = 12
"""Identities on a map: as many as colours can tell apart."""
PER_SIDE = 16
"""Most points of an identity on one side."""
FEWEST = 5
"""Points that a t-SNE needs at least."""
PALETTE = (
    *("#1f77b4", "#d95f02", "#2ca02c", "#c51b7d", "#7b4fb5", "#8c564b"),
    *("#17a2b8", "#a6a61a", "#e7298a", "#555555", "#66a61e", "#e6ab02"),
)
ASKED, OFFERED = "query", "gallery"


@dataclass(frozen=True, eq=False)
class Map:
    """Points in the plane.

    Attributes:
        name: of its files.
        title: what the points are.
        axes: what the two directions show.
        points: ``(n, 2)``.
        rows: ``(n,)`` of the test items.
        sensors: ``(n,)`` the ``Modality`` value by which each is known.
        sides: ``(n,)`` ``"query"``, ``"gallery"``, or empty where there are no sides.
        colourings: what points are coloured by, such as ``"identity"``, with the word for each point.
    """

    name: str
    title: str
    axes: tuple[str, str]
    points: NDArray[np.float64]
    rows: Counts
    sensors: NDArray[np.uint8]
    sides: tuple[str, ...]
    colourings: dict[str, tuple[str, ...]]

    def legend(self, colouring: str) -> dict[str, str]:
        """Return the colour of each word, in the order of the words; after the last colour, the first comes again."""
        words = sorted(set(self.colourings[colouring]), key=lambda word: (len(word), word))
        return {word: PALETTE[number % len(PALETTE)] for number, word in enumerate(words)}


def map_of_sides(compared: Compared, how: Projection) -> Map:
    """Map queries and gallery items of some identities by the vectors that are compared under the protocol.

    Raises:
        UsageError: when there are too few points for a t-SNE.
    """
    shown = spaced(np.unique(compared.asked.identity), IDENTITIES)
    asked = _of_identities(compared.asked.identity, shown)
    offered = _of_identities(compared.offered.identity, shown)
    vectors = np.concatenate([compared.query[asked], compared.gallery[offered]])
    trial = compared.trial
    rows = np.concatenate([trial.query[asked], trial.gallery[offered]])
    sensors = np.concatenate([trial.query_sensors[asked], trial.gallery_sensors[offered]])
    sides = (ASKED,) * len(asked) + (OFFERED,) * len(offered)
    title = f"Query and gallery items under {compared.setting}"
    return _map("map-sides", title, vectors, compared.items, rows, sensors, sides, how)


def map_of_sensors(folder: EmbeddingFolder, stored: StoredItems, how: Projection) -> Map:
    """Map test items of some identities by each of their sensors alone, with the vectors as they are stored.

    Raises:
        UsageError: when there are too few points for a t-SNE.
        DataError: when embeddings are damaged.
    """
    items = stored.items
    shown = spaced(np.unique(items.labels.identity), IDENTITIES)
    vectors, rows, sensors = [], [], []
    for sensor in stored.sensors:
        there = np.flatnonzero(items.sensors & sensor.value)
        own = there[_of_identities(items.labels.identity[there], shown)]
        rows.append(own)
        sensors.append(np.full(len(own), sensor.value, dtype=np.uint8))
        vectors.append(folder.vectors(stored, own, sensors[-1]))
    everything = np.concatenate(rows)
    facts = (np.concatenate(vectors), items, everything, np.concatenate(sensors), ("",) * len(everything))
    return _map("map-sensors", "Test items by each sensor alone", *facts, how)


def spaced(values: Counts, most: int) -> Counts:
    """Return at most some values, evenly spaced among all."""
    chosen: Counts = values[
        np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(np.int64))
    ]
    return chosen


def _of_identities(identity: Counts, shown: Counts) -> Counts:
    """Return places of the items of some identities, evenly spaced within each, ascending."""
    return np.sort(np.concatenate([spaced(np.flatnonzero(identity == one), PER_SIDE) for one in shown]))


def _map(
    name: str,
    title: str,
    vectors: NDArray[np.float32],
    items: Items,
    rows: Counts,
    sensors: NDArray[np.uint8],
    sides: Sequence[str],
    how: Projection,
) -> Map:
    labels = items.labels.take(rows)
    known = [str(Modality(int(code))) for code in sensors]
    colourings = {
        "identity": tuple(map(str, labels.identity.tolist())),
        "sensors": tuple(f"{side} {letters}".strip() for side, letters in zip(sides, known, strict=True)),
        "camera": tuple(map(str, labels.camera.tolist())),
    }
    points, axes = project(vectors, how)
    return Map(name, title, axes, points, rows, sensors, tuple(sides), colourings)


def project(vectors: NDArray[np.float32], how: Projection) -> tuple[NDArray[np.float64], tuple[str, str]]:
    """Return the ``(n, 2)`` places of vectors (n, E) on a map, and what its axes show.

    One thread does the work, so that equal vectors make equal maps.

    Raises:
        UsageError: when there are too few vectors for a t-SNE.
    """
    from threadpoolctl import threadpool_limits

    if how == "tsne" and len(vectors) < FEWEST:
        raise UsageError(f"A t-SNE needs {FEWEST} points, and there are {len(vectors)}; use --projection pca.")
    with threadpool_limits(1):
        if how == "tsne":
            from sklearn.manifold import TSNE

            perplexity = min(30.0, (len(vectors) - 1) / 3)
            made = TSNE(init="random", random_state=0, perplexity=perplexity).fit_transform(vectors)
            return made.astype(np.float64), (f"t-SNE, perplexity {perplexity:.3g}", "")
        left, lengths, right = np.linalg.svd(vectors.astype(np.float64) - vectors.mean(axis=0), full_matrices=False)
    signs = np.sign(right[np.arange(len(right)), np.abs(right).argmax(axis=1)])  # else either sign would do
    places, shares = np.zeros((len(vectors), 2)), np.zeros(2)
    count = min(2, len(lengths))
    places[:, :count] = (left * lengths * signs)[:, :count]
    shares[:count] = 100 * np.square(lengths[:count]) / max(np.square(lengths).sum(), np.finfo(np.float64).tiny)
    first, second = shares
    return places, (f"1st direction, {first:.0f} % of the variance", f"2nd direction, {second:.0f} %")


def draw(drawn: Map, title: str) -> "Figure":
    """Draw the points once for each colouring; queries are triangles."""
    drawing = figure((3.4 * len(drawn.colourings), 4.2))
    axes = drawing.subplots(1, len(drawn.colourings), squeeze=False)[0]
    asked = np.array([side == ASKED for side in drawn.sides])
    for axis, (colouring, words) in zip(axes, drawn.colourings.items(), strict=True):
        for word, colour in drawn.legend(colouring).items():
            own = np.array([one == word for one in words])
            for marker, side in (("o", ~asked), ("^", asked)):
                x, y = drawn.points[own & side].T
                axis.scatter(x, y, s=14, color=colour, marker=marker, linewidths=0.3, edgecolors="white")
            axis.scatter([], [], s=14, color=colour, label=word)
        axis.set(xlabel=drawn.axes[0], ylabel=drawn.axes[1], xticks=[], yticks=[], title=f"by {colouring}")
        axis.legend(fontsize=6, loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=4, handletextpad=0.1)
    drawing.suptitle(title, fontsize=9)
    return drawing
