"""Writing a report to disk, in any of its forms."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from mdreid_bench.progress import Reporter
from mdreid_bench.report.figures.cmc import CurveFigure
from mdreid_bench.report.figures.drawing import save_files
from mdreid_bench.report.figures.tables import heat_map, matrices, sweep_curve
from mdreid_bench.report.render.csv import render_csv
from mdreid_bench.report.render.html import render_html
from mdreid_bench.report.render.latex import AS_THEY_ARE, Wanted, render_latex
from mdreid_bench.report.render.markdown import escape, render_markdown
from mdreid_bench.report.sections import Contents, Section
from mdreid_bench.report.tidy import tidy_csv
from mdreid_bench.results.schema import Record
from mdreid_bench.results.storage.atomic import write_text
from mdreid_bench.results.storage.hashes import canonical_hash

PICTURED = frozenset({"markdown", "html"})
"""Forms that come with heat maps and curves as files; LaTeX shades the cells of a table instead, CSV has none."""
TIDY = "results.csv"
"""All measurements, a row a number; the other CSV files hold the tables of the sections."""
TITLE = "Any-to-any multi-modal object re-identification"
SYNTHETIC = (
    "Tables marked as synthetic were measured on SYNTHETIC images, which say nothing about the published data."
)
LONGEST_STEM = 120


def write_report(
    folder: Path,
    formats: Collection[str],
    contents: Contents,
    sections: Sequence[Section],
    curves: Callable[[], Iterable[CurveFigure]],
    synthetic: bool,
    reporter: Reporter,
    records: Iterable[Record] = (),
    wanted: Wanted = AS_THEY_ARE,
) -> list[Path]:
    """Write ``csv``, ``latex``, ``markdown`` or ``html``, or several of them.

    Args:
        folder: made when missing.
        contents: what the report is made from.
        sections: the tables of it that were asked for.
        curves: draws the CMC curves, when they are wanted.
        synthetic: whether any number was measured on synthetic data.
        records: what was measured, for the table that has a row a number.
        wanted: caption and label of the LaTeX.

    Returns:
        The files; the last is the one to open.

    Raises:
        DataError: when the file system refuses.
    """
    pictures = _pictures(folder, sections, reporter) if PICTURED & set(formats) else {}
    texts: dict[str, str] = {}
    if "csv" in formats:
        texts |= {f"{section.name}.csv": render_csv(section.tables) for section in sections}
        texts[TIDY] = tidy_csv(records)
    if "latex" in formats:
        texts |= render_latex(sections, wanted)
    if "markdown" in formats:
        texts["report.md"] = _markdown(sections, pictures, synthetic)
    if "html" in formats:
        # Heat maps are shaded tables on the page; sweeps and matrices stand there as pictures too.
        swept = {table.title for section in sections for table in section.tables if table.curve or table.matrices}
        svgs = {title: pictures[title][0].read_text(encoding="utf-8") for title in swept}
        texts["report.html"] = render_html(contents, sections, curves(), svgs)
    for name, text in texts.items():
        write_text(folder / name, text)
    return [*(file for files in pictures.values() for file in files), *(folder / name for name in texts)]


def _pictures(folder: Path, sections: Sequence[Section], reporter: Reporter) -> dict[str, list[Path]]:
    """Draw heat maps, sweeps and matrices: title of the table -> SVG and PNG."""
    drawn: dict[str, list[Path]] = {}
    tables = [t for section in sections for t in section.tables if t.shaded or t.curve or t.matrices]
    with reporter.track("drawing heat maps, sweeps and matrices", len(tables)) as step:
        for table in tables:
            draw = heat_map if table.shaded else matrices if table.matrices else sweep_curve
            drawing = draw(table)
            drawn[table.title] = save_files(drawing, folder / _stem(table.title))
            step()
    return drawn


def _markdown(sections: Sequence[Section], pictures: dict[str, list[Path]], synthetic: bool) -> str:
    parts = [f"# {TITLE}\n", *([f"**{escape(SYNTHETIC)}**\n"] if synthetic else [])]
    for section in sections:
        parts.append(f"## {escape(section.title)}\n")
        for table in section.tables:
            parts.append(render_markdown(table))
            files = pictures.get(table.title, [])
            parts += [f"![{escape(table.title)}]({file.name})\n" for file in files if file.suffix == ".svg"]
    return "\n".join(parts)


def _stem(title: str) -> str:
    """Return a title as the name of a file; what makes it too long is replaced by a hash."""
    stem = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    return stem if len(stem) <= LONGEST_STEM else f"{stem[:LONGEST_STEM]}-{canonical_hash(title)[:8]}"
