"""Measurements as tidy rows, one a number, for whoever goes on with them in another program."""

import csv
import io
from collections.abc import Iterable, Iterator

from mdreid_bench.report.variants import PERCENT
from mdreid_bench.results.schema import Metrics, Record

Row = dict[str, str | int | float | None]


def tidy(records: Iterable[Record]) -> Iterator[Row]:
    """Yield a row for each metric of each record.

    ``value``, both ends of its 95 % interval (``low``, ``high``) and ``chance`` are percentages, unrounded.
    """
    for record in records:
        shared: Row = {
            "dataset": record.dataset,
            "data_kind": record.data_kind,
            "limit": record.limit,
            "split": record.split,
            "sources": "+".join(record.sources),
            "protocol": record.protocol,
            "corruption": record.corruption.name if record.corruption else None,
            "corrupted_side": record.corruption.side if record.corruption else None,
            "corruption_repetition": record.corruption.repetition if record.corruption else None,
            "rerank": record.rerank,
            "average_precision": record.average_precision,
            "method": record.method,
            "preset": record.preset,
            "trunk": record.trunk,
            "seed": record.seed,
            "selection": record.selection,
        }
        for metric in Metrics.model_fields:
            if getattr(record.metrics, metric) is None:  # as Rank-20 in older records
                continue
            low, high = record.interval.mAP if metric == "mAP" and record.interval else (None, None)
            yield shared | {
                "metric": metric,
                "value": PERCENT * float(getattr(record.metrics, metric)),
                "low": None if low is None else PERCENT * low,
                "high": None if high is None else PERCENT * high,
                "chance": None if (chance := getattr(record.chance, metric)) is None else PERCENT * float(chance),
                "queries": record.counts.queries,
                "run": record.folder_name,
            }


def tidy_csv(records: Iterable[Record]) -> str:
    """Return the rows of :func:`tidy` as CSV; what there is not is empty."""
    rows = list(tidy(records))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
