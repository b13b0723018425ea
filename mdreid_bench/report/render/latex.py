"""Tables as LaTeX with booktabs, in documents that compile as they are."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

from mdreid_bench.report.sections import Section
from mdreid_bench.report.table import Cell, Column, Emphasis, Number, Table, remark, shown
from mdreid_bench.wording import printable

_PREAMBLE = r"""\documentclass[10pt]{article}
\usepackage[a4paper,landscape,margin=15mm]{geometry}
\usepackage{array}
\usepackage{booktabs}
\usepackage{graphicx}
\usepackage[table]{xcolor}
\definecolor{heat}{HTML}{5B9BD5}
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt}
\setlength{\tabcolsep}{4pt}
\raggedright
\newsavebox{\tablebox}
% Shrinks a table that is wider than the page or leaves no room for its notes.
\newcommand{\fitpage}[1]{%
  \sbox{\tablebox}{#1}%
  \ifdim\wd\tablebox>\linewidth\sbox{\tablebox}{\resizebox{\linewidth}{!}{\usebox{\tablebox}}}\fi
  \ifdim\dimexpr\ht\tablebox+\dp\tablebox\relax>0.8\textheight
    \sbox{\tablebox}{\resizebox*{!}{0.8\textheight}{\usebox{\tablebox}}}\fi
  \usebox{\tablebox}}
\newcommand{\tabletitle}[1]{\refstepcounter{table}\textbf{Table \thetable. #1}\par}
\newcommand{\heading}[2]{{\scriptsize\shortstack[#1]{#2}}}
\begin{document}
"""
_TOGETHER = 2
"""From so many tables on that have it, a note stands once, at the end."""
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_\allowbreak{}",
    "/": r"/\allowbreak{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "`": r"\`{}",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{MIDDLE DOT}": r"$\cdot$",
    "\N{RIGHTWARDS ARROW}": r"$\to$",
    "\N{DAGGER}": r"$\dagger$",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "\N{MINUS SIGN}": "$-$",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{REPLACEMENT CHARACTER}": "?",
}
_MARKS = {Emphasis.NONE: "{}", Emphasis.BEST: r"\textbf{{{}}}", Emphasis.SECOND: r"\underline{{{}}}"}
_LETTERS = "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿ"
"""Beyond ASCII, what the standard fonts have."""


def render_latex(sections: Iterable[Section]) -> str:
    """Return a document of tables, one below the other; what several have in their notes stands once, at the end."""
    tables = [table for section in sections for table in section.tables]
    counts = Counter(note for table in tables for note in dict.fromkeys(table.footnotes))
    shared = {note: place for place, note in enumerate((n for n in counts if counts[n] >= _TOGETHER), start=1)}
    parts = [_table(table, shared) for table in tables]
    if shared:
        items = [rf"({place}) {escape(note)}\par" for note, place in shared.items()]
        parts.append("\n".join([r"\textbf{Notes}\par", r"{\footnotesize\parskip1pt", *items, "}"]))
    return _PREAMBLE + "\n\n\\bigskip\n".join(parts) + "\n\\end{document}\n"


def escape(text: str) -> str:
    """Return the text so that LaTeX shows it and obeys nothing in it; characters without a glyph become ``?``."""
    pieces = re.split("(?<=-)(?=-)", printable(text))  # two hyphens in a row would be drawn as one dash
    return "{}".join("".join(_ESCAPES.get(char) or _glyph(char) for char in piece) for piece in pieces)


def _glyph(char: str) -> str:
    if char.isascii() or char in _LETTERS:
        return char
    plain = unicodedata.normalize("NFKD", char).encode("ascii", "ignore").decode()
    return "".join(_ESCAPES.get(part, part) for part in plain) or "?"


def _table(table: Table, shared: Mapping[str, int]) -> str:
    markers = table.marks()
    lines = [r"\begin{minipage}{\linewidth}", rf"\tabletitle{{{escape(table.title)}}}"]
    if table.caption:
        lines.append(escape(table.caption) + r"\par")
    lines += [
        rf"\fitpage{{\begin{{tabular}}{{{''.join(map(_alignment, table.columns))}}}",
        r"\toprule",
        *_headings(table),
        r"\midrule",
    ]
    for index, row in enumerate(table.rows):
        if index in table.rules:
            lines.append(r"\midrule")
        lines.append(" & ".join(_cell(cell, markers, table.shaded) for cell in row) + r" \\")
    # Notes may go on over the page, so that a long table need not leave the page before it empty.
    lines += [r"\bottomrule", r"\end{tabular}}\par", r"\end{minipage}\par\nopagebreak", r"{\footnotesize\parskip1pt"]
    lines += [escape(note) + r"\par" for note in table.notes() if note not in shared]
    numbers = [f"({shared[note]})" for note in table.footnotes if note in shared]
    lines += [rf"Notes {', '.join(numbers)} at the end.\par"] if numbers else []
    return "\n".join([*lines, "}"])


def _alignment(column: Column) -> str:
    if column.numeric:
        return "r"
    return r">{\raggedright\arraybackslash}p{45mm}" if column.wide else "l"


def _headings(table: Table) -> list[str]:
    """Return the row of titles; above it, where there are groups, their names over rules."""
    titles = " & ".join(_heading(column) for column in table.columns) + r" \\"
    groups = table.column_groups()
    if not groups:
        return [titles]
    spans, rules, start = [], [], 1
    for group, width in groups:
        spans.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(group)}}}")
        if group:
            rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    return [" & ".join(spans) + r" \\", "".join(rules), titles]


def _heading(column: Column) -> str:
    """Return a title in small print, what it has in brackets on lines of its own."""
    title, bracket, rest = column.title.partition(" (")
    lines = [title, *(f"({rest}".replace(", ", ",\n").split("\n") if bracket else ())]
    stacked = r"\\".join(map(escape, lines))
    return rf"\heading{{{'r' if column.numeric else 'l'}}}{{{stacked}}}"


def _cell(cell: Cell, markers: dict[str, str], shaded: bool) -> str:
    mark = rf"\textsuperscript{{{markers[remark(cell)]}}}" if remark(cell) else ""
    if not isinstance(cell, Number):
        return escape(shown(cell)) + mark
    shade = rf"\cellcolor{{heat!{min(max(round(cell.value), 0), 100)}}}" if shaded else ""
    suffix = rf"\,{{\scriptsize {escape(cell.suffix.strip())}}}" if cell.suffix else ""
    return shade + _MARKS[cell.emphasis].format(cell.text.replace("-", "$-$")) + suffix + mark
