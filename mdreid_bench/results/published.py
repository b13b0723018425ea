"""Figures printed in papers, each with its source: the rows of ``results/published/*.csv``."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from mdreid_bench.errors import DataError

FIELDS = ("paper", "table", "dataset", "method", "protocol", "metric", "value", "source", "note")
"""Columns of every file of figures."""
SOURCES = "sources.csv"
"""The one file of the folder without figures: which document stands behind each source, and what of it was read."""
AVERAGE = "average:"
"""Before the name of a suite, in the column ``protocol``: the average over its protocols, as printed.

A mean that was worked out from printed cells and is printed nowhere has ``mean:`` there instead."""

_DISTRIBUTION = "mdreid-bench"
_INSTALLED = "share/mdreid-bench/published"


@dataclass(frozen=True)
class Figure:
    """One number, as printed.

    Attributes:
        paper: short name of the document that prints it.
        dataset: name as on the command line, of a corrupted set its own; ``rgbnt100->wmveid863`` where the first was
            trained on and the second tested with; empty for costs that belong to no dataset.
        method: name as printed, with what the table says about the variant.
        protocol: such as ``R-to-NT``, or ``average:missing``; empty for costs.
        metric: field of :class:`~mdreid_bench.results.schema.Metrics`, in percent; for costs
            ``parameters_millions``, ``flops_billions``, ``extraction_seconds`` or ``retrieval_seconds``.
        value: in the unit of the metric.
        note: what must be known to read the number; may be empty.
    """

    paper: str
    table: str
    dataset: str
    method: str
    protocol: str
    metric: str
    value: float
    source: str
    note: str

    @property
    def place(self) -> str:
        """Document and table in a few words."""
        return f"{self.paper} {self.table}"


@cache
def figures() -> tuple[Figure, ...]:
    """Return all published figures; those of the MDReID paper first, each paper in its printed order.

    Raises:
        DataError: when the files are missing or damaged.
    """
    files = sorted(folder().glob("*.csv"), key=lambda path: (path.stem != "mdreid", path.stem))
    return tuple(figure for path in files if path.name != SOURCES for figure in _read(path))


def folder() -> Path:
    """Return where the files lie: in the checkout, else where the wheel put them.

    Raises:
        DataError: when they are in neither place.
    """
    checkout = Path(__file__).resolve().parents[2] / "results" / "published"
    if checkout.is_dir():
        return checkout
    for file in metadata.files(_DISTRIBUTION) or ():
        if file.as_posix().endswith(f"{_INSTALLED}/{SOURCES}"):
            return Path(str(file.locate())).resolve().parent
    raise DataError("The published figures were not installed; install mdreid-bench again or use --no-published.")


def transfer(sources: Sequence[str], dataset: str) -> str:
    """Return what figures have for a dataset: its name, behind those of the sources that were trained on instead."""
    return f"{'+'.join(sources)}->{dataset}" if sources else dataset


def method_key(name: str) -> str:
    """Return what printed and registered names of one method share.

    Case and punctuation do not count, nor do the marks of variants in ``TOP-ReID*`` or ``TOP-ReID(B)``; a method with
    another trunk than its own, such as ``DeMo* (ViT)``, is another.
    """
    return re.sub(r"[^a-z0-9]", "", re.sub(r"(\*|\((?!ViT)[^)]*\))$", "", name).casefold())


def _read(path: Path) -> Iterator[Figure]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = csv.DictReader(stream)
            if tuple(rows.fieldnames or ()) != FIELDS:
                raise ValueError
            for row in rows:
                value = float(row.pop("value"))
                yield Figure(**row, value=value)
    except (OSError, ValueError, TypeError, KeyError):
        raise DataError(
            f"The published figures {path} are damaged; restore the file or use --no-published."
        ) from None
