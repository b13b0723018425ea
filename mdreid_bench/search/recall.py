"""How much of the exact answer an approximate index finds, and how many queries it answers in a second."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdreid_bench.report.remarks import INTERVAL_NOTE
from mdreid_bench.report.table import Cell, Column, Number, Table
from protocols.arrays import Counts, FloatArray, Values
from protocols.bootstrap import interval
from protocols.scoring import inner_products

TOP = (1, 10)
"""How many of the nearest items are looked at."""
_PERCENT = 100.0
Blocks = Callable[[], Iterable[FloatArray]]
"""Gives all vectors of a gallery, block by block and as often as it is called."""


@dataclass(frozen=True, eq=False)
class Recall:
    """What an index finds of the nearest items of nq queries.

    Attributes:
        factory: FAISS's name of the index.
        items: in the gallery.
        found: ``(nq, 2)`` share of the nearest 1 and 10 that are among the first 1 and 10 found.
        identities: ``(nq,)`` of the queries, by which the interval is drawn.
        speed: queries a second, all asked at once.
        exact_speed: likewise of the exact search that streams the vectors.
    """

    factory: str
    items: int
    found: Values
    identities: Counts
    speed: float
    exact_speed: float

    def row(self) -> dict[str, Any]:
        """Return plain values; shares are percentages."""
        result: dict[str, Any] = {"index": self.factory, "items": self.items, "queries": len(self.found)}
        for place, k in enumerate(TOP):
            low, high = interval(self.found[:, place], self.identities)
            result[f"recall@{k}"] = _PERCENT * float(self.found[:, place].mean())
            result |= {f"recall@{k}_low": _PERCENT * low, f"recall@{k}_high": _PERCENT * high}
            result[f"recall@{k}_chance"] = _PERCENT * min(k / self.items, 1.0)
        return result | {"queries_per_second": self.speed, "exact_queries_per_second": self.exact_speed}


def recall(index: Any, factory: str, queries: FloatArray, identities: Counts, blocks: Blocks) -> Recall:
    """Ask a FAISS index for the nearest items of queries, (nq, E), and compare with an exact search.

    An item counts as found if none that is nearer was passed over: of items with equal scores any will do.
    """
    start = time.perf_counter()
    _, ids = index.search(np.ascontiguousarray(queries, dtype=np.float32), min(max(TOP), index.ntotal))
    middle = time.perf_counter()
    best, own = _exact(queries, ids, blocks())
    end = time.perf_counter()
    found = [(own[:, :k] >= best[:, : ids.shape[1]][:, :k][:, -1:]).mean(axis=1) for k in TOP]
    speeds = (len(queries) / max(seconds, 1e-9) for seconds in (middle - start, end - middle))
    return Recall(factory, int(index.ntotal), np.stack(found, axis=1), identities, *speeds)


def _exact(queries: FloatArray, ids: Counts, blocks: Iterable[FloatArray]) -> tuple[Values, Values]:
    """Return the highest scores of each query, best first, and those of the items ``ids``; both ``(nq, k)``."""
    best, own = np.full((2, *ids.shape), -np.inf, dtype=np.float32)
    done = 0
    for block in blocks:
        scores = np.empty((len(queries), len(block)), dtype=np.float32)
        inner_products(queries, block, out=scores)
        rows, places = np.nonzero((ids >= done) & (ids < done + len(block)))
        own[rows, places] = scores[rows, ids[rows, places] - done]
        done += len(block)
        joined = np.concatenate([best, scores], axis=1)
        best = -np.sort(-np.partition(joined, -ids.shape[1], axis=1)[:, -ids.shape[1] :], axis=1)
    return best, own


def recall_table(title: str, found: Sequence[Recall]) -> Table:
    """Return a row for each index."""
    rows: list[tuple[Cell, ...]] = []
    for one in found:
        row = one.row()
        cells: list[Cell] = [one.factory, f"{one.items:,}"]
        for k in TOP:
            low, high = (row[f"recall@{k}_{end}"] for end in ("low", "high"))
            chance = Number(row[f"recall@{k}_chance"], decimals=3, ranked=False)
            cells += [Number(row[f"recall@{k}"], interval=(low, high)), chance]
        rows.append((*cells, Number(one.speed, decimals=0), Number(one.exact_speed, decimals=0)))
    heads = [(name, f"recall@{k}") for k in TOP for name in ("found", "chance")]
    heads += [("index", "queries a second"), ("exact", "queries a second")]
    return Table(
        title=title,
        caption="Recall in %, against an exact search of the same gallery.",
        columns=(Column("index"), Column("items"), *(Column(*head, numeric=True) for head in heads)),
        rows=tuple(rows),
        footnotes=(INTERVAL_NOTE, "Queries a second: all asked at once; the exact search streams the vectors."),
    )
