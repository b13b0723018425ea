"""A trial: which items are asked with, which are asked for, and by which of their sensors."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protocols.arrays import Counts
from protocols.modality import Modality
from protocols.protocol import Side
from protocols.suites import Setting


@dataclass(frozen=True, eq=False)
class Trial:
    """One comparison of queries with a gallery; a protocol may ask for several, whose figures are averaged.

    Attributes:
        query: ``(nq,)`` rows of the test items that are asked with.
        gallery: ``(ng,)`` rows of the test items that are asked for; one may be there by several of its sensors.
        query_sensors: ``(nq,)`` uint8, the ``Modality`` value by which each query is known.
        gallery_sensors: ``(ng,)`` uint8, likewise.

    Raises:
        ValueError: when a side has not one value for each row.
    """

    query: Counts
    gallery: Counts
    query_sensors: NDArray[np.uint8]
    gallery_sensors: NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.query.shape != self.query_sensors.shape or self.gallery.shape != self.gallery_sensors.shape:
            raise ValueError("each row of a side needs the sensors by which it is known")

    def keeping(self, *, query: Counts | None = None, gallery: Counts | None = None) -> "Trial":
        """Return the trial with these rows alone on a side; a side that is not given stays as it is."""
        asked = slice(None) if query is None else np.isin(self.query, query)
        offered = slice(None) if gallery is None else np.isin(self.gallery, gallery)
        return Trial(
            self.query[asked], self.gallery[offered], self.query_sensors[asked], self.gallery_sensors[offered]
        )


def trial_of(
    setting: Setting,
    names: NDArray[np.str_],
    available: NDArray[np.uint8],
    query: Counts,
    gallery: Counts,
    sensors: Modality,
) -> Trial:
    """Return the trial of a setting: all queries and gallery items that have the sensors it asks for.

    Args:
        setting: protocol, mixed availability, or pooled gallery, where an item gives a row for each of its images.
        names: ``(n,)`` unique names of the test items, by which a mixed setting draws.
        available: ``(n,)`` the ``Modality`` value of the sensors that saw each item.
        query: rows of the queries.
        gallery: rows of the gallery items.
        sensors: those of the dataset.
    """

    def side(name: Side, rows: Counts) -> tuple[Counts, NDArray[np.uint8]]:
        wanted = setting.subsets(name, names[rows].tolist(), sensors)
        if wanted.ndim == 2:
            rows, wanted = np.repeat(rows, wanted.shape[1]), wanted.ravel()
        there = (available[rows] & wanted) == wanted
        return rows[there], wanted[there]

    (asked, asked_by), (offered, offered_by) = side("query", query), side("gallery", gallery)
    return Trial(asked, offered, asked_by, offered_by)
