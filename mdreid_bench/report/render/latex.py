"""Tables as LaTeX: a fragment each, which asks a paper for booktabs alone, and the document that shows them all."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from mdreid_bench.report.sections import Section
from mdreid_bench.report.table import Cell, Column, Emphasis, Number, Table, remark, shown
from mdreid_bench.wording import printable

MAIN = "main.tex"
"""The document with all tables."""
FOLDER = "latex"
"""Where the fragments lie, beside the document."""
_HOOKS = r"""% One table, for \input. It needs \usepackage{booktabs} and nothing else. Yours to define before it:
% \mdreidfit{table} to scale it, \mdreidheat{percent} to shade a cell, \mdreidnotes{numbers}{text} for its notes.
\providecommand{\mdreidfit}[1]{#1}
\providecommand{\mdreidheat}[1]{}
\providecommand{\mdreidnotes}[2]{#2}
"""
_PREAMBLE = r"""\documentclass[10pt]{article}
\usepackage[a4paper,landscape,margin=15mm]{geometry}
\usepackage{booktabs}
\usepackage[labelfont=bf,labelsep=period,justification=raggedright,singlelinecheck=false,skip=2pt]{caption}
\usepackage{graphicx}
\usepackage[table]{xcolor}
\definecolor{heat}{HTML}{5B9BD5}
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt}
\newsavebox{\tablebox}
% Shrinks a table that is wider than the page or leaves no room for its notes.
\newcommand{\mdreidfit}[1]{%
  \sbox{\tablebox}{#1}%
  \ifdim\wd\tablebox>\linewidth\sbox{\tablebox}{\resizebox{\linewidth}{!}{\usebox{\tablebox}}}\fi
  \ifdim\dimexpr\ht\tablebox+\dp\tablebox\relax>0.75\textheight
    \sbox{\tablebox}{\resizebox*{!}{0.75\textheight}{\usebox{\tablebox}}}\fi
  \usebox{\tablebox}\end{minipage}\par\nopagebreak}
\newcommand{\mdreidheat}[1]{\cellcolor{heat!#1}}
% What several tables have in their notes stands once, at the end.
\newcommand{\mdreidnotes}[2]{#1}
% Tables stand where they are read, one below the other. The box that keeps a caption with its table is closed by
% \mdreidfit: notes may go on over the page, so that a long table need not leave the page before it empty.
\makeatletter
\renewenvironment{table}[1][]{\par\addvspace{12pt}\begin{minipage}{\linewidth}\def\@captype{table}}{\par}
\renewenvironment{table*}[1][]{\begin{table}}{\end{table}}
\makeatother
\begin{document}
\raggedright
\let\centering\raggedright
"""
_TOGETHER = 2
"""From so many tables on that have it, a note stands once, at the end of the document."""
_COLUMN, _PAGE = 60, 105
"""Characters in small print that fit into a column and across a page; what is wider gets smaller print."""
_WORDS = 36
"""Text with more characters is broken over lines, where no word, and no heading, has more than half as many."""
_LONGEST = 80
"""Most characters of the name of a fragment, before the number that tells apart what is cut alike."""
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


@dataclass(frozen=True)
class Wanted:
    """What an author sets instead of what the tables say of themselves.

    Attributes:
        caption: LaTeX in the place of the title; empty for the title. What the caption had said then stands below.
        label: of the one table, or what begins the labels of several; empty for ``tab:`` and the name of the file.
    """

    caption: str = ""
    label: str = ""


AS_THEY_ARE = Wanted()


def render_latex(sections: Iterable[Section], wanted: Wanted = AS_THEY_ARE) -> dict[str, str]:
    """Return the files: the document :data:`MAIN`, and one in :data:`FOLDER` for each table, by path.

    A fragment says all that its table has to say. In the document, notes that several have stand once, at the end.
    """
    placed = [(section, table) for section in sections for table in section.tables]
    counts = Counter(note for _, table in placed for note in dict.fromkeys(table.footnotes))
    shared = {note: place for place, note in enumerate((n for n in counts if counts[n] >= _TOGETHER), start=1)}
    files: dict[str, str] = {}
    parts, section_before = [], None
    for section, table in placed:
        stem = _stem(section, table, files)
        label = wanted.label or f"tab:{stem}"
        if wanted.label and len(placed) > 1:
            label += f"-{stem}"
        files[f"{FOLDER}/{stem}.tex"] = _HOOKS + _table(table, shared, wanted.caption, label)
        if section is not section_before:
            parts.append(rf"\section*{{{escape(section.title)}}}")
        section_before = section
        parts.append(rf"\input{{{FOLDER}/{stem}.tex}}")
    if shared:
        items = [rf"({place}) {escape(note)}\par" for note, place in shared.items()]
        parts.append("\n".join([r"\section*{Notes}", r"{\footnotesize\parskip1pt", *items, "}"]))
    return files | {MAIN: _PREAMBLE + "\n".join(parts) + "\n\\end{document}\n"}


def _stem(section: Section, table: Table, taken: Mapping[str, str]) -> str:
    """Return the name of a fragment, after its section and what else its title says."""
    title = f"{section.name} {table.title.removeprefix(section.title)}"
    stem = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:_LONGEST].strip("-")
    names = [stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 2))]
    return next(name for name in names if f"{FOLDER}/{name}.tex" not in taken)


def escape(text: str) -> str:
    """Return the text so that LaTeX shows it and obeys nothing in it; characters without a glyph become ``?``."""
    pieces = re.split("(?<=-)(?=-)", printable(text))  # two hyphens in a row would be drawn as one dash
    return "{}".join("".join(_ESCAPES.get(char) or _glyph(char) for char in piece) for piece in pieces)


def _glyph(char: str) -> str:
    if char.isascii() or char in _LETTERS:
        return char
    plain = unicodedata.normalize("NFKD", char).encode("ascii", "ignore").decode()
    return "".join(_ESCAPES.get(part, part) for part in plain) or "?"


def _table(table: Table, shared: Mapping[str, int], caption: str, label: str) -> str:
    table = _broken(table)
    markers = table.marks()
    said = [_sentence(table.title), table.caption]
    print_, environment = _size(table)
    lines = [
        rf"\begin{{{environment}}}[t]",
        r"\centering",
        rf"\caption{{{caption or escape(' '.join(filter(None, said)))}}}",
        rf"\label{{{label}}}",
        rf"{print_}\setlength{{\tabcolsep}}{{4pt}}%",
        rf"\mdreidfit{{\begin{{tabular}}{{{''.join(map(_alignment, table.columns))}}}",
        r"\toprule",
        *_headings(table),
        r"\midrule",
    ]
    for index, row in enumerate(table.rows):
        if index in table.rules:
            lines.append(r"\midrule")
        cells = zip(row, table.columns, strict=True)
        lines.append(
            " & ".join(_cell(cell, column, markers, table.shaded) for cell, column in cells) + r" \tabularnewline"
        )
    lines += [r"\bottomrule", r"\end{tabular}}\par\smallskip", r"{\footnotesize\raggedright\parskip1pt"]
    own = [note for note in table.notes() if note not in shared]
    lines += [escape(note) + r"\par" for note in ([*filter(None, said)] if caption else []) + own]
    common = [note for note in table.footnotes if note in shared]
    if common:
        lines.append(rf"\mdreidnotes{{Notes {', '.join(f'({shared[note]})' for note in common)} at the end.\par}}{{%")
        lines += [*(escape(note) + r"\par" for note in common), "}"]
    return "\n".join([*lines, "}", rf"\end{{{environment}}}", ""])


def _broken(table: Table) -> Table:
    """Let columns of long text be broken over lines, where they have places to break them at."""
    columns = []
    for place, column in enumerate(table.columns):
        texts = [] if column.numeric else [shown(row[place]) for row in table.rows]
        words = [*_lines(column), *(word for text in texts for word in re.split(r"[ _/]", text))]
        breaks = max(map(len, texts), default=0) > _WORDS and max(map(len, words)) <= _WORDS // 2
        columns.append(replace(column, wide=column.wide or breaks))
    return replace(table, columns=tuple(columns))


def _sentence(title: str) -> str:
    return title if title.endswith((".", "?", "!")) else f"{title}."


def _size(table: Table) -> tuple[str, str]:
    """Return the size of print, and the environment: of one column of a page of two, or of the whole page."""
    widths = []
    for place, column in enumerate(table.columns):
        cells = [shown(c) + (c.suffix if isinstance(c, Number) else "") for c in (row[place] for row in table.rows)]
        widths.append(30 if column.wide else max(map(len, (*_lines(column), *cells))))
    total = sum(widths) + 2 * len(widths)
    if total <= _COLUMN:
        return r"\small", "table"
    return r"\footnotesize" if total <= _PAGE else r"\scriptsize", "table*"


def _alignment(column: Column) -> str:
    if column.numeric:
        return "r"
    return "p{45mm}" if column.wide else "l"


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
    """Return a title in small print."""
    stacked = r"\strut " + r"\\".join(map(escape, _lines(column)))  # the strut keeps a rule above at a distance
    return rf"{{\scriptsize\shortstack[{'r' if column.numeric else 'l'}]{{{stacked}}}}}"


def _lines(column: Column) -> list[str]:
    """Return a title in lines; what it has in brackets gets lines of its own."""
    title, bracket, rest = column.title.partition(" (")
    return [title, *(f"({rest}".replace(", ", ",\n").split("\n") if bracket else ())]


def _cell(cell: Cell, column: Column, markers: Mapping[str, str], shaded: bool) -> str:
    mark = rf"\textsuperscript{{{markers[remark(cell)]}}}" if remark(cell) else ""
    if not isinstance(cell, Number):
        return (r"\raggedright " if column.wide else "") + escape(shown(cell)) + mark
    shade = rf"\mdreidheat{{{min(max(round(cell.value), 0), 100)}}}" if shaded else ""
    suffix = rf"\,{{\scriptsize {escape(cell.suffix.strip())}}}" if cell.suffix else ""
    return shade + _MARKS[cell.emphasis].format(cell.text.replace("-", "$-$")) + suffix + mark
