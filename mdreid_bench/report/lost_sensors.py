"""What training items that lack sensors cost: mAP against the rate at which they have lost them."""

from collections.abc import Iterable, Mapping, Sequence

from mdreid_bench.report import remarks
from mdreid_bench.report.groups import Group, group_records
from mdreid_bench.report.quantities import CHANCE, NOT_RUN, Quantity
from mdreid_bench.report.sensors import refused
from mdreid_bench.report.table import Cell, Column, Missing, Table
from mdreid_bench.report.titles import method_title
from mdreid_bench.report.variants import Variant
from mdreid_bench.results.schema import Record
from mdreid_bench.results.storage.hashes import canonical_hash
from protocols.protocol import protocols_of

NAME = "lost-sensors"
NOTE = (
    "Each training item had lost each of its sensors at the rate, but never all, by a draw of the seed that is the "
    "same for all methods and all epochs; test items have all that a protocol asks for."
)
Family = Mapping[float, Variant]
"""One method in one configuration, by the rate."""


def lost_tables(records: Iterable[Record]) -> list[Table]:
    """Build the tables of :func:`group_tables` from any records."""
    return [table for group in group_records(records) for table in group_tables(group)]


def group_tables(group: Group) -> list[Table]:
    """Build a table for the matched and one for the mismatched protocols, with a row for each rate.

    They have the methods that were measured at several rates, each with the mean over the protocols that all of these
    were measured under, those set aside that a method does not serve.
    """
    families = _families(group)
    variants = [variant for family in families for variant in family.values()]
    ran = [
        protocol for protocol in map(str, protocols_of(group.sensors)) if any(protocol in v.records for v in variants)
    ]
    serving = [v for v in variants if not refused(v.method, v.example.options, group.sensors, ran)] or variants
    common = [protocol for protocol in ran if all(protocol in variant.records for variant in serving)]
    kinds = {
        kind: [str(p) for p in protocols_of(group.sensors) if p.matched == (kind == "matched") and str(p) in common]
        for kind in ("matched", "mismatched")
    }
    return [_table(group, families, kind, protocols) for kind, protocols in kinds.items() if protocols]


def _families(group: Group) -> list[Family]:
    """Return the methods that were measured at several rates."""
    found: dict[str, dict[float, Variant]] = {}
    for variant in group.variants:
        record = variant.example
        given = {**record.config_overrides}
        if isinstance(data := given.pop("data", None), dict):
            given["data"] = {name: value for name, value in data.items() if name != "missing"}
        given = {name: value for name, value in given.items() if value != {}}
        same = (record.method, record.method_version, record.preset, record.trunk, record.options, given)
        data_and_choice = (record.train_fingerprint, record.test_fingerprint, record.selection, record.precision)
        found.setdefault(canonical_hash([*same, *data_and_choice]), {})[record.missing] = variant
    return [family for family in found.values() if len(family) > 1]


def _table(group: Group, families: Sequence[Family], kind: str, protocols: Sequence[str]) -> Table:
    quantity = Quantity("mAP", tuple(protocols), "mAP", "")
    rates = sorted({rate for family in families for rate in family})
    variants = [family[rate] for family in families for rate in sorted(family)]
    chance = quantity.chance(variants)
    rows: list[tuple[Cell, ...]] = []
    for rate in rates:
        cells = [quantity.measured(family[rate]) if rate in family else Missing(NOT_RUN) for family in families]
        rows.append((f"{rate:g}", *cells, chance))
    return Table(
        title=f"mAP by rate of lost sensors, {kind} protocols, {group.title}",
        caption=f"{remarks.caption(variants)} Mean over {', '.join(protocols)}.",
        columns=(
            Column("rate"),
            *(Column(title, numeric=True) for title in _titles(families)),
            Column(CHANCE, numeric=True),
        ),
        rows=tuple(rows),
        footnotes=(NOTE, *remarks.footnotes(variants, protocols), *remarks.provenance(variants, protocols)),
        curve=tuple(rates),
        axis="rate at which training items lose each sensor",
    )


def _titles(families: Sequence[Family]) -> list[str]:
    """Return what the methods are called: as without lost sensors, where they were measured so."""
    titles = [
        family[0.0].label if 0.0 in family else method_title(next(iter(family.values())).method)
        for family in families
    ]
    keys = [next(iter(family.values())).example.config_key[:8] for family in families]
    return [f"{title} #{key}" if titles.count(title) > 1 else title for title, key in zip(titles, keys, strict=True)]
