"""Tables made by hand that use all that a table can show."""

from mdreid_bench.report.table import Cell, Column, Emphasis, Label, Missing, Number, Table

HOSTILE = 'a|b *c* [bold]d[/bold] <img src=x> \x1b[31m\u202e$e_f$ `g` 50% {h} #i & j^k~l \\m "n" é λ ±'


def comparison_table() -> Table:
    """Return one with groups, notes, gaps, emphasis, spread, interval, sign and a rule."""
    printed = Number(21.6, note="printed as it is", origin="published in MDReID Table 3", emphasis=Emphasis.BEST)
    ours = Number(25.375, spread=0.55, origin="measured on synthetic data", emphasis=Emphasis.SECOND)
    alone = Number(40.0, interval=(35.0, 45.0), emphasis=Emphasis.BEST)
    gap = Missing("not run")
    rows: tuple[tuple[Cell, ...], ...] = (
        ("mdreid", "MDReID Table 3", printed, ours, Number(-0.34, signed=True)),
        ("top-reid", Label("TOP-ReID log", "best epoch on the test set"), Number(10.71, decimals=2), alone, gap),
        ("chance", Missing("not applicable"), Missing("not applicable"), Number(3.0), Missing("not applicable")),
    )
    columns = (
        Column("method"),
        Column("published in", wide=True),
        Column("published", "mAP", numeric=True),
        Column("ours (synthetic, limit 60)", "mAP", numeric=True),
        Column("difference", "mAP", numeric=True),
    )
    notes = ("mdreid: seeds 0, 1.",)
    return Table("Mismatched, rgbnt201", columns, rows, "Values in %.", notes, frozenset({2}))


def shaded_table() -> Table:
    """Return a small grid."""
    columns = (Column("query"), Column("R", "gallery", numeric=True), Column("N", "gallery", numeric=True))
    rows: tuple[tuple[Cell, ...], ...] = (
        ("R", Number(80.0), Number(12.34)),
        ("N", Missing("not run"), Number(100.0)),
    )
    return Table("Heat map of mdreid (mAP), msvr310", columns, rows, shaded=True)


def hostile_table() -> Table:
    """Return one whose every text tries to be obeyed."""
    rows: tuple[tuple[Cell, ...], ...] = (
        (HOSTILE, Number(1.0, note=HOSTILE, origin=HOSTILE)),
        (Label(HOSTILE, HOSTILE), Missing(HOSTILE)),
    )
    columns = (Column(HOSTILE), Column(HOSTILE, HOSTILE, numeric=True))
    return Table(HOSTILE, columns, rows, caption=HOSTILE, footnotes=(HOSTILE,))
