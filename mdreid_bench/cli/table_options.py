"""The options on tables that go into a paper."""

import re
from dataclasses import dataclass, field
from typing import Annotated

from mdreid_bench.cli.command import OUTPUT, option
from mdreid_bench.cli.values import chosen, reader
from mdreid_bench.errors import UsageError
from mdreid_bench.report.quantities import METRICS
from mdreid_bench.report.render.latex import Wanted
from mdreid_bench.report.shape import Shape

MOST_DIGITS = 6


def _digits(text: str) -> int:
    if not re.fullmatch(r"\s*[0-9]\s*", text, re.ASCII) or int(text) > MOST_DIGITS:
        raise UsageError(f"--digits takes a whole number from 0 to {MOST_DIGITS}, not {text!r}.")
    return int(text)


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """How tables are shown and written, whatever they show."""

    metrics: Annotated[
        list[str],
        option(
            OUTPUT,
            "--metric",
            "Metric of the tables, such as mAP or rank5; may be repeated. Default: each table's own.",
        ),
    ] = field(default_factory=list)
    digits: Annotated[
        int | None,
        option(
            OUTPUT,
            "--digits",
            "Digits after the point, 0 to 6; printed figures keep theirs. Default: 1.",
            metavar="<int>",
            parser=reader(_digits),
        ),
    ] = None
    transpose: Annotated[
        bool,
        option(
            OUTPUT, "--transpose", "Set methods side by side, and what was measured below each other.", default=True
        ),
    ] = False

    latex: Annotated[
        bool,
        option(
            OUTPUT,
            "--latex",
            "Write each table as LaTeX for \\input, which needs booktabs alone, and main.tex, which shows them all.",
            default=True,
        ),
    ] = False
    caption: Annotated[
        str | None,
        option(OUTPUT, "--caption", "Caption of the one table of --latex, itself LaTeX. Default: its title."),
    ] = None
    label: Annotated[
        str | None,
        option(
            OUTPUT,
            "--label",
            "What to \\ref the table of --latex by; of several tables, how their labels begin. Default: tab:NAME.",
        ),
    ] = None

    @property
    def chosen_metrics(self) -> list[str]:
        """The metrics that were asked for; none for those of each table.

        Raises:
            UnknownNameError: for one that is none.
        """
        return chosen(self.metrics, list(METRICS), "metric")

    @property
    def shape(self) -> Shape:
        """How every table is shown."""
        return Shape(self.digits, self.transpose)

    def latex_wanted(self, tables: int) -> Wanted:
        """Return caption and label of so many tables.

        Raises:
            UsageError: for one without ``--latex``, a caption of several tables, or text that LaTeX would choke on.
        """
        given = [flag for flag, text in (("--caption", self.caption), ("--label", self.label)) if text is not None]
        if given and not self.latex:
            raise UsageError(f"{given[0]} goes with --latex; add it.")
        if self.caption is not None and not _balanced(self.caption):
            raise UsageError(f"--caption is LaTeX, in which braces come in pairs, unlike in {self.caption!r}.")
        if self.caption is not None and tables > 1:
            raise UsageError(
                f"--caption is that of one table, and there are {tables}; choose one by its suite and data."
            )
        if self.label is not None and not re.fullmatch(r"[A-Za-z0-9:._+-]+", self.label, re.ASCII):
            raise UsageError(
                f"--label takes letters, digits and any of :._+-, such as tab:missing, not {self.label!r}."
            )
        return Wanted(self.caption or "", self.label or "")


def _balanced(text: str) -> bool:
    depth = 0
    for brace in re.findall(r"(?<!\\)(?:\\\\)*([{}])", text):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0
