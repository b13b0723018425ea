"""The studies of the paper as data: rows of the ablation, sweeps of both weights, the two kinds of vectors."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mdreid_bench.config.tree import Tree, merge
from mdreid_bench.errors import UsageError
from mdreid_bench.models import registry
from mdreid_bench.models.mdreid.card import MDReIDOptions
from protocols.names import UnknownNameError

MDREID, SINGLE_CLASSIFIER = "mdreid", "single-classifier"
W1, W2 = "orthogonality_weight", "discrepancy_weight"
STUDIED = (W1, W2, "components")
"""The options that the studies vary."""
DEFAULTS: Mapping[str, Any] = MDReIDOptions().model_dump()
"""The method as proposed."""


@dataclass(frozen=True)
class StudyRow:
    """One configuration of a study; it is the same run as ``run --method`` with the same options.

    Attributes:
        options: of the method, where they differ from its defaults.
        on: options that must not be switched off, or the label would be wrong.
        printed: what the published figures call it, of which there may be several names.
    """

    label: str
    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    on: Sequence[str] = ()
    printed: Sequence[str] = ()

    def fits(self, method: str, options: Mapping[str, Any]) -> bool:
        """Tell whether what was measured with a method, and these of its options in force, belongs in this row."""
        if method != self.method or method != MDREID:
            return method == self.method
        wanted = {**DEFAULTS, **self.options}
        return all(_in_force(options, name) == wanted.get(name) for name in STUDIED)


@dataclass(frozen=True)
class Study:
    """Rows that are compared in one table, in the order of the paper, and what must be known to read it.

    The title may name options in braces, which stand for their values; ``name`` is for messages.

    Attributes:
        contrast: the row whose difference from another one is told with its interval, and that other one.
    """

    name: str
    title: str
    rows: Sequence[StudyRow]
    note: str = ""
    contrast: tuple[str, str] | None = None


@dataclass(frozen=True)
class Sweep:
    """The weight of one loss, an option, over the values of the paper; the other options are the same in all rows.

    Attributes:
        printed: what the published figures call a row; braces stand for the value.
    """

    title: str
    option: str
    values: Sequence[float]
    fixed: Mapping[str, Any]
    printed: str


ROWS = Study(
    "ablation",
    "Ablation",
    (
        StudyRow("single classifier", SINGLE_CLASSIFIER, printed=("MDReID [MDL x, ROL x, KDL x]",)),
        StudyRow("MDL", MDREID, {W1: 0, W2: 0}, printed=("MDReID [MDL, -, -]",)),
        StudyRow("MDL + ROL", MDREID, {W2: 0}, (W1,), ("MDReID [MDL+ROL]",)),
        StudyRow("MDL + KDL", MDREID, {W1: 0}, (W2,), ("MDReID [MDL+KDL]",)),
        StudyRow("MDL + ROL + KDL", MDREID, {}, (W1, W2), ("MDReID [MDL+ROL+KDL]", "MDReID full", "MDReID")),
    ),
    contrast=("MDL + ROL + KDL", "MDL"),
)
"""The ablation of the parts (paper, Table 4a)."""

SWEEPS = {
    "w1": Sweep("Weight w1 of ROL, without KDL", W1, (0.5, 1, 1.5, 2, 3), {W2: 0}, "MDReID w1={}, no KDL"),
    "w2": Sweep(
        "Weight w2 of KDL, with w1 = {orthogonality_weight:g}",
        W2,
        (4.5, 5, 5.25, 5.5, 6),
        {},
        f"MDReID w2={{}}, w1={DEFAULTS[W1]}",
    ),
}
"""Sensitivity to the weights (paper, Tables 4b and 4c)."""

COMPONENTS = Study(
    "components",
    "Specific and shared vectors by themselves",
    tuple(
        StudyRow(label, MDREID, {"components": name}, printed=(f"MDReID {label}",))
        for label, name in (("specific only", "specific"), ("shared only", "shared"), ("both", "both"))
    ),
    "Specific vectors are compared within a sensor: where the sensors of both sides are disjoint, they score chance.",
)
"""What the two kinds of vectors contribute to the similarity (paper, Table 6)."""


def sweep(name: str, values: Sequence[float] = ()) -> Study:
    """Return the study of one weight, a key of :data:`SWEEPS` in any case, over these values or the paper's.

    Raises:
        UnknownNameError: for another name.
    """
    found = SWEEPS.get(name.lower())
    if found is None:
        raise UnknownNameError("sweep", name, SWEEPS)
    rows = [
        StudyRow(
            f"{name.lower()} = {value:g}",
            MDREID,
            {**found.fixed, found.option: value},
            printed=(found.printed.format(float(value)),),
        )
        for value in dict.fromkeys(values or found.values)
    ]
    return Study(f"sweep {name.lower()}", found.title, rows)


def swept(name: str, measured: Iterable[tuple[str, Mapping[str, Any]]]) -> Study:
    """Return the study of one weight over the values in what was measured: methods with their options in force."""
    values = set()
    for method, options in measured:
        weight = _in_force(options, SWEEPS[name].option)
        if isinstance(weight, int | float) and sweep(name, [weight]).rows[0].fits(method, options):
            values.add(weight)
    return sweep(name, sorted(values)) if values else Study(name, SWEEPS[name].title, ())


def is_ablated(method: str, options: Mapping[str, Any]) -> bool:
    """Tell whether what was measured leaves out or weighs otherwise a part of MDReID."""
    return method == MDREID and not ROWS.rows[-1].fits(method, options)


def row_overrides(row: StudyRow, user: Mapping[str, Any]) -> Tree:
    """Return what is laid over the recipe of a row: what the user set, then what makes the row.

    Of the user's options, those reach a row that its method has; an option that neither method has stays in and is
    refused with the rest of the configuration.
    """
    tree = dict(user)
    if isinstance(tree.get("options"), Mapping):
        foreign = _options({MDREID, SINGLE_CLASSIFIER} - {row.method}) - _options({row.method})
        kept = {name: value for name, value in tree["options"].items() if name not in foreign}
        tree = {key: value for key, value in tree.items() if key != "options"} | ({"options": kept} if kept else {})
    return merge(tree, {"options": row.options}) if row.options else tree


def check_study(study: Study, user: Mapping[str, Any]) -> None:
    """Refuse options of the user's that would make the labels of a study wrong or be without effect.

    Raises:
        UsageError: for such an option.
    """
    options = user.get("options")
    if not isinstance(options, Mapping):
        return
    rows = [row for row in study.rows if row.method == MDREID]
    for name in options:
        if all(name in row.options for row in rows):
            raise UsageError(f"options.{name} is set by the rows of the {study.name} themselves; leave it out.")
    for row in rows:
        for name in row.on:
            if not options.get(name, True):
                raise UsageError(f"options.{name} takes away what the row '{row.label}' stands for; leave it out.")


def _in_force(options: Mapping[str, Any], name: str) -> Any:
    return options.get(name, DEFAULTS.get(name))


def _options(methods: Iterable[str]) -> set[str]:
    return {option for name in methods for option in registry.card(name).options_model.model_fields}
