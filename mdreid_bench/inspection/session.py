"""Writes the pictures of a run and the page with all of them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mdreid_bench.inspection.inspected import Inspected
from mdreid_bench.inspection.maps import Projection
from mdreid_bench.inspection.page import Section, render_page
from mdreid_bench.inspection.pictures import pictures
from mdreid_bench.progress import Reporter
from mdreid_bench.report.figures.drawing import save_files
from mdreid_bench.results.storage.atomic import write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = "index.html"


def write_inspection(
    inspected: Inspected, out: Path, queries: int, named: Sequence[str], how: Projection, reporter: Reporter
) -> list[Path]:
    """Write all pictures as SVG and PNG, and the page; return the files, the page last.

    Equal input makes equal bytes. Files of pictures that an earlier call made, and that there are none of now, are
    removed.

    Args:
        inspected: the run.
        out: folder of the files; made when missing.
        queries: how many to show of each kind.
        named: names of queries to show besides.
        how: of the maps.
        reporter: shows the progress.

    Raises:
        UnknownNameError: for a name that no query has.
        UsageError: when there are too few points for a t-SNE.
        DataError: when embeddings are damaged or not finite, an image has changed, or the file system refuses.
    """
    makers, sections, files = pictures(inspected, queries, named, how), list[Section](), list[Path]()
    with reporter.track(f"drawing {inspected.folder.path.name}", len(makers)) as step:
        for maker in makers:
            for section, drawing in maker:
                saved, own = _saved(section, drawing, out)
                sections.append(saved)
                files += own
            step(note=sections[-1].title)
    facts = (inspected.title, inspected.about(), inspected.warnings())
    write_text(out / PAGE, render_page(*facts, sections, inspected.thumbnails))
    return [*files, out / PAGE]


def _saved(section: Section, drawing: "Figure | None", out: Path) -> tuple[Section, list[Path]]:
    """Write the files of a section; what has no form of its own on the page shows its SVG there."""
    if drawing is None:
        for kind in ("svg", "png"):
            (out / f"{section.name}.{kind}").unlink(missing_ok=True)
        return section, []
    files = save_files(drawing, out / section.name)
    if section.strips or section.map is not None:
        return section, files
    return replace(section, svg=files[0].read_text(encoding="utf-8")), files
