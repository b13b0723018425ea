"""Writing a report to disk, in any of its forms."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from mdreid_bench.progress import Reporter
from mdreid_bench.report.figures.cmc import CurveFigure
from mdreid_bench.report.figures.drawing import save_files
from mdreid_bench.report.figures.tables import heat_map, sweep_curve
from mdreid_bench.report.render.csv import render_csv
from mdreid_bench.report.render.html import render_html
from mdreid_bench.report.render.latex import render_latex
from mdreid_bench.report.render.markdown import escape, render_markdown
from mdreid_bench.report.sections import Section
from mdreid_bench.results.storage.atomic import write_text
from mdreid_bench.results.storage.hashes import canonical_hash

PICTURED = frozenset({"markdown", "html"})
"""Forms that come with heat maps and curves as files; LaTeX shades the cells of a table instead, CSV has none."""
ALL_LATEX = "main.tex"
"""The document with all tables; each section has one of its own besides."""
LONGEST_STEM = 120


class ReportFiles:
    """The files of one report below one folder.

    Args:
        folder: made when missing.
        sections: the tables.
        curves: draws the CMC curves, when they are wanted.
        synthetic: whether any number was measured on synthetic data.
        reporter: shows the progress.
    """

    def __init__(
        self,
        folder: Path,
        sections: Sequence[Section],
        curves: Callable[[], Iterable[CurveFigure]],
        synthetic: bool,
        reporter: Reporter,
    ) -> None:
        self.folder, self.sections, self.curves, self.synthetic = folder, sections, curves, synthetic
        self.reporter = reporter

    def write(self, formats: Collection[str]) -> list[Path]:
        """Write ``csv``, ``latex``, ``markdown`` or ``html``, or several of them.

        Returns:
            The files; the last is the one to open.


        Raises:
            DataError: when the file system refuses.
        """
        pictures = self._pictures() if PICTURED & set(formats) else {}
        texts: dict[str, str] = {}
        if "csv" in formats:
            texts |= {f"{section.name}.csv": render_csv(section.tables) for section in self.sections}
        if "latex" in formats:
            texts |= {f"{section.name}.tex": render_latex([section]) for section in self.sections}
            texts[ALL_LATEX] = render_latex(self.sections)
        if "markdown" in formats:
            texts["report.md"] = self._markdown(pictures)
        if "html" in formats:
            texts["report.html"] = self._html(pictures)
        for name, text in texts.items():
            write_text(self.folder / name, text)
        return [*(file for files in pictures.values() for file in files), *(self.folder / name for name in texts)]

    def _pictures(self) -> dict[str, list[Path]]:
        """Draw the heat maps and the sweeps: title of the table -> SVG and PNG."""
        drawn: dict[str, list[Path]] = {}
        tables = [t for section in self.sections for t in section.tables if t.shaded or t.curve]
        with self.reporter.track("drawing heat maps and sweeps", len(tables)) as step:
            for table in tables:
                drawing = heat_map(table) if table.shaded else sweep_curve(table)
                drawn[table.title] = save_files(drawing, self.folder / _stem(table.title))
                step()
        return drawn

    def _html(self, pictures: dict[str, list[Path]]) -> str:
        """Put the sweeps on the page as pictures; heat maps are shaded tables there."""
        curves = {t.title for section in self.sections for t in section.tables if t.curve}
        svgs = {title: pictures[title][0].read_text(encoding="utf-8") for title in curves}
        return render_html(self.sections, self.curves(), svgs, self.synthetic)

    def _markdown(self, pictures: dict[str, list[Path]]) -> str:
        parts = []
        for section in self.sections:
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
