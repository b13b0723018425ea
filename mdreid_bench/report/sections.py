"""Which tables a report has, in which order."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from mdreid_bench.report import lost_sensors, remarks
from mdreid_bench.report.ablation import ablation_tables
from mdreid_bench.report.corruption import group_tables
from mdreid_bench.report.cost import cost_table
from mdreid_bench.report.decoupling import decoupling_tables
from mdreid_bench.report.distractors import NAME as DISTRACTORS
from mdreid_bench.report.distractors import distractor_tables
from mdreid_bench.report.grid import grid_tables, grid_variants
from mdreid_bench.report.grid_summary import summary_tables
from mdreid_bench.report.groups import Group, Locate
from mdreid_bench.report.lost_sensors import NAME as LOST
from mdreid_bench.report.open_set import NAME as OPEN_SET
from mdreid_bench.report.open_set import open_set_tables
from mdreid_bench.report.overview import NAME as OVERVIEW
from mdreid_bench.report.overview import overview_tables
from mdreid_bench.report.paper_tables import protocol_tables
from mdreid_bench.report.run_table import MANY_PROTOCOLS, run_tables
from mdreid_bench.report.table import Table, without_empty_columns
from mdreid_bench.report.transfer import NAME as TRANSFER
from mdreid_bench.report.transfer import transfer_tables
from mdreid_bench.report.usual_table import usual_protocols, usual_table
from mdreid_bench.report.variants import group_variants
from mdreid_bench.results.published import Figure
from mdreid_bench.wording import in_words
from protocols.modality import RNT, Modality, subsets
from protocols.protocol import protocols_of
from protocols.suites import suite as named_suite

PAPER_SUITES = ("paper-matched", "paper-mismatched", "missing", "ablation", "all")
"""What a report has when no suite is asked for; costs and other settings follow."""
STUDIES = ("decoupling", "cost", LOST, "corruption", OPEN_SET, DISTRACTORS)


@dataclass(frozen=True)
class Section:
    """Tables that belong together.

    Attributes:
        name: of a suite, ``grid``, ``decoupling``, ``cost``, ``lost-sensors``, ``corruption``, ``open-set``,
            ``distractors`` or ``other``; stem of the files.
        tables: at least one.
        sensors: of the datasets; None when they have different ones.
    """

    name: str
    tables: tuple[Table, ...]
    sensors: Modality | None = RNT

    @property
    def title(self) -> str:
        """What the tables show."""
        return section_title(self.name, self.sensors)


@dataclass(frozen=True)
class Contents:
    """What a report is made from.

    Attributes:
        figures: published ones; none to leave them out.
        methods: asked for by name; empty for all.
        folder: gives the folder of the run that a record belongs to.
    """

    groups: Sequence[Group]
    figures: Sequence[Figure]
    methods: Collection[str]
    folder: Locate

    def sections(self, suites: Sequence[str]) -> list[Section]:
        """Build the sections of these suites, or those of the paper; empty ones are left out."""
        names = suites or ("usual", *PAPER_SUITES, TRANSFER, *STUDIES, "other")
        return [section for name in names if (section := self._section(name)) is not None]

    def _section(self, name: str) -> Section | None:
        if name in (OVERVIEW, TRANSFER, "decoupling"):
            return Section(name, tuple(whole)) if (whole := self._whole(name)) else None
        built = [(group.sensors, tables) for group in self.groups if (tables := self._tables(name, group))]
        sensors = {found for found, _ in built}
        shown = tuple(without_empty_columns(table) for _, tables in built for table in tables)
        title = "grid" if name == "all" else name
        return Section(title, shown, sensors.pop() if len(sensors) == 1 else None) if shown else None

    def _whole(self, name: str) -> list[Table]:
        """Return the tables over all datasets."""
        if name == TRANSFER:
            return transfer_tables(self.groups, self.figures)
        records = (record for group in self.groups for record in group.records)
        return overview_tables(self.groups) if name == OVERVIEW else decoupling_tables(records, self.folder)

    def _tables(self, name: str, group: Group) -> list[Table]:
        if name == "usual":
            return usual_table(section_title(name, group.sensors), group, self.figures)
        if name == "all":
            return [*grid_tables(group), *summary_tables(group, self.folder)]
        if name == "ablation":
            return ablation_tables(group, self.figures)
        if name == "cost":
            return [cost_table(group, self.figures, self.folder)]
        if name == LOST:
            return lost_sensors.group_tables(group)
        if name == "corruption":
            return group_tables(group, self.figures)
        if name == OPEN_SET:
            return open_set_tables(group)
        if name == DISTRACTORS:
            return distractor_tables(group)
        if name == "other":
            return self._other(group)
        protocols = [str(protocol) for protocol in named_suite(name, group.sensors)]
        if len(protocols) > MANY_PROTOCOLS:
            return _long(group, protocols)
        return self._protocols(section_title(name, group.sensors), protocols, name, group)

    def _protocols(self, title: str, protocols: Sequence[str], suite: str, group: Group) -> list[Table]:
        return protocol_tables(title, protocols, suite, group, self.figures, self.methods)

    def _other(self, group: Group) -> list[Table]:
        """Show settings that stand nowhere else: mixed availability, and single protocols where there is no grid."""
        shown = {str(protocol) for suite in PAPER_SUITES[:-1] for protocol in named_suite(suite, group.sensors)}
        outside = {name for v in group.variants for name in v.records} - set(map(str, protocols_of(group.sensors)))
        others = outside.union(*(variant.records for variant in grid_variants(group)[1])) - shown
        others -= set(usual_protocols(group))
        tables = []
        for name in sorted(others | {record.protocol for record in group.calibrated if record.protocol in outside}):
            beside = [record for record in group.calibrated if record.protocol == name]
            tables += self._protocols(name, [name], "", replace(group, records=[*group.records, *beside]))
        return tables


def section_title(name: str, sensors: Modality | None) -> str:
    """Return what a section shows, in words; ``sensors`` are None where the datasets have different ones."""
    number, cells = (0, 0) if sensors is None else (len(sensors), len(subsets(sensors)))
    all_of, matched, mismatched, pairs = (
        f" {in_words(count)}" if sensors else "" for count in (number, cells, cells * (cells - 1), cells * cells)
    )
    titles = {
        "paper-matched": f"Matched: {'all three sensors' if sensors == RNT else str(RNT)} on both sides",
        "paper-mismatched": "Mismatched: query and gallery with different sensors",
        "missing": "Missing modality: the same sensors on both sides, but not "
        + ("both" if number == 2 else f"all{all_of}"),
        "matched": f"The{matched} matched protocol{'' if cells == 1 else 's'}",
        "mismatched": f"The{mismatched} mismatched protocols",
        "ablation": "Ablation",
        "grid": f"All{pairs} protocols",
        "overview": "Overview: all datasets, matched and mismatched",
        "decoupling": "Decoupling: how alike the parts of an item are that a method keeps apart",
        TRANSFER: "From one dataset to another",
        "cost": "Cost",
        "comparison": "Comparison of methods",
        LOST: "Sensors lost in training",
        "corruption": "Corrupted test images",
        OPEN_SET: "Open set: half of the identities are enrolled",
        DISTRACTORS: "Galleries that grow by items of identities that nobody asks for",
        "other": "Other settings",
        "usual": "As papers on the dataset print it",
    }
    return titles.get(name, f"Suite {name}")


def _long(group: Group, protocols: Sequence[str]) -> list[Table]:
    """Show many protocols with a row for each."""
    records = [r for v in group.variants for found in v.records.values() for r in found if r.protocol in protocols]
    notes = tuple(remarks.provenance(group_variants(records), protocols))
    return [
        replace(table, footnotes=(*table.footnotes, *notes))
        for table in run_tables(records, metrics=group.main_metrics)
    ]
