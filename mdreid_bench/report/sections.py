"""Which tables a report has, in which order."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from mdreid_bench.report import remarks
from mdreid_bench.report.ablation import ablation_tables
from mdreid_bench.report.cost import Locate, cost_table
from mdreid_bench.report.grid import grid_tables, has_grid
from mdreid_bench.report.groups import Group
from mdreid_bench.report.paper_tables import protocol_tables
from mdreid_bench.report.run_table import run_tables
from mdreid_bench.report.table import Table
from mdreid_bench.report.variants import group_variants
from mdreid_bench.results.published import Figure
from protocols.protocol import ALL_PROTOCOLS
from protocols.suites import suite as named_suite

TITLES = {
    "paper-matched": "Matched: all three sensors on both sides",
    "paper-mismatched": "Mismatched: query and gallery with different sensors",
    "missing": "Missing modality: the same sensors on both sides, but not all three",
    "matched": "The seven matched protocols",
    "mismatched": "The 42 mismatched protocols",
    "ablation": "Ablation",
    "grid": "All 49 protocols",
    "cost": "Cost",
    "other": "Other settings",
}
"""Name of a section -> title; those named as a suite show it."""
PAPER_SUITES = ("paper-matched", "paper-mismatched", "missing", "ablation", "all")
"""What a report has when no suite is asked for; costs and other settings follow."""


@dataclass(frozen=True)
class Section:
    """Tables that belong together.

    Attributes:
        name: key of :data:`TITLES`, stem of the files.
        tables: at least one.
    """

    name: str
    tables: tuple[Table, ...]

    @property
    def title(self) -> str:
        """What the tables show."""
        return TITLES[self.name]


@dataclass(frozen=True)
class Contents:
    """What a report is made from.

    Attributes:
        groups: the records.
        figures: published ones; none to leave them out.
        published: whether tables have columns for them.
        methods: asked for by name; empty for all.
        folder: gives the folder of the run that a record belongs to.
    """

    groups: Sequence[Group]
    figures: Sequence[Figure]
    published: bool
    methods: Collection[str]
    folder: Locate

    def sections(self, suites: Sequence[str]) -> list[Section]:
        """Build the sections of these suites, or those of the paper; empty ones are left out.

        Args:
            suites: names in :data:`protocols.suites.SUITES`.
        """
        wanted: list[tuple[str, Callable[[Group], list[Table]]]] = [
            ("grid" if suite == "all" else suite, self._suite(suite)) for suite in suites or PAPER_SUITES
        ]
        if not suites:
            wanted += [("cost", self._cost), ("other", self._other)]
        built = [(name, [table for group in self.groups for table in build(group)]) for name, build in wanted]
        return [Section(name, tuple(tables)) for name, tables in built if tables]

    def _suite(self, suite: str) -> Callable[[Group], list[Table]]:
        if suite == "all":
            return grid_tables
        if suite == "ablation":
            return lambda group: ablation_tables(group, self.figures, self.published)
        protocols = [str(protocol) for protocol in named_suite(suite)]
        if suite == "mismatched":
            return lambda group: _long(group, protocols)
        return lambda group: self._protocols(TITLES[suite], protocols, suite, group)

    def _protocols(self, title: str, protocols: Sequence[str], suite: str, group: Group) -> list[Table]:
        return protocol_tables(title, protocols, suite, group, self.figures, self.published, self.methods)

    def _cost(self, group: Group) -> list[Table]:
        return [cost_table(group, self.figures, self.published, self.folder)]

    def _other(self, group: Group) -> list[Table]:
        """Show settings that stand nowhere else: mixed availability, and single protocols where there is no grid."""
        shown = {str(protocol) for suite in PAPER_SUITES[:-1] for protocol in named_suite(suite)}
        if any(has_grid(variant) for variant in group.variants):
            shown |= set(map(str, ALL_PROTOCOLS))
        others = {protocol for variant in group.variants for protocol in variant.records} - shown
        return [table for name in sorted(others) for table in self._protocols(name, [name], "", group)]


def _long(group: Group, protocols: Sequence[str]) -> list[Table]:
    """Show many protocols with a row for each."""
    records = [r for v in group.variants for found in v.records.values() for r in found if r.protocol in protocols]
    notes = tuple(remarks.provenance(group_variants(records), protocols))
    return [replace(table, footnotes=(*table.footnotes, *notes)) for table in run_tables(records)]
