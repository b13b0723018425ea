"""Which part of MDReID a record leaves out, read from its options."""

from dataclasses import dataclass

from mdreid_bench.results.schema import Record

METHOD = "mdreid"
BASELINE = "single-classifier"
W1, W2 = 1.5, 5.25
"""Weights of ROL and KDL in the paper (section 4.1)."""


@dataclass(frozen=True)
class Parts:
    """What of MDReID was in force.

    Attributes:
        mdl: modality decoupling; without it the network is the single classifier.
        w1: weight of ROL, 0 when it is off.
        w2: weight of KDL, 0 when it is off.
        components: which vectors are compared: ``both``, ``specific`` or ``shared``.
    """

    mdl: bool
    w1: float
    w2: float
    components: str

    @property
    def whole(self) -> bool:
        """The method as proposed."""
        return self == Parts(mdl=True, w1=W1, w2=W2, components="both")

    @property
    def row(self) -> str | None:
        """The row of the paper's ablation (Table 4a); None when the weights are others or vectors are left out."""
        if self.components != "both" or self.w1 not in (0, W1) or self.w2 not in (0, W2):
            return None
        if not self.mdl:
            return SINGLE
        return " + ".join(["MDL"] + ["ROL"] * bool(self.w1) + ["KDL"] * bool(self.w2))


SINGLE = "single classifier"
ROWS = (SINGLE, "MDL", "MDL + ROL", "MDL + KDL", "MDL + ROL + KDL")
"""The five rows in the order of the paper."""


def parts(record: Record) -> Parts | None:
    """Return what a record has of MDReID; None when it is of another method."""
    if record.method == BASELINE:
        return Parts(mdl=False, w1=0, w2=0, components="both")
    if record.method != METHOD:
        return None
    options = record.options
    return Parts(
        mdl=options.get("mdl", True) is True,
        w1=_weight(options.get("orthogonality_weight", W1)),
        w2=_weight(options.get("discrepancy_weight", W2)),
        components=str(options.get("components", "both")),
    )


def is_ablated(record: Record) -> bool:
    """Whether a record of MDReID leaves out or re-weights a part of it."""
    found = parts(record)
    return record.method == METHOD and found is not None and not found.whole


def _weight(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
