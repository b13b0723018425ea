"""What may be wrong with a bundle."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Kinds of findings, as they are called in tables and after ``--allow``."""

    MISSING = "missing-file"
    UNLISTED = "unlisted-file"
    CHANGED = "changed-file"
    ODD = "odd-file"
    VERSION = "schema-version"
    OLDER = "older-schema"
    DAMAGED = "damaged"
    CONTRADICTION = "contradiction"
    COUNTS = "counts"
    METRICS = "metrics"
    IMPOSSIBLE = "impossible-values"
    UNPROVEN = "no-values"
    CONSTANT = "constant-scorer"
    MIXED = "mixed-data"
    SELECTION = "selection-on-test-data"
    RERANKING = "re-ranking"
    BATCH = "test-batch"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or must be known before figures are believed.

    Attributes:
        file: its name in the bundle.
        what: a sentence without a full stop.
    """

    kind: Kind
    file: str
    what: str


ALLOWABLE = (Kind.OLDER, Kind.UNPROVEN, Kind.CONSTANT, Kind.MIXED, Kind.SELECTION, Kind.RERANKING, Kind.BATCH)
"""What may be right all the same, if whoever collects bundles says so; the others are never."""
