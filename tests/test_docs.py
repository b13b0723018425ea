"""Pages that code and other pages refer to exist, and so do the sections that they name."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("protocols", "mdreid_bench", "baselines", "tests")
SOURCES = [path for part in PARTS for path in sorted((ROOT / part).rglob("*.py"))]
SETTINGS = sorted((ROOT / "mdreid_bench").rglob("*.yaml"))
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
LONGEST_WAY = 4
"""Files from the README to any place that CONTRIBUTING.md names."""
CITATION = re.compile(r"(?<![\w/.:-])([\w./-]*\w\.md)\b(?:, \"([^\"]+)\")?")
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


def prose(text: str) -> Iterator[str]:
    """Yield docstrings, other free-standing strings and blocks of comments, each as one line."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield " ".join(node.value.value.split())
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    yield " ".join(token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT)


def without_code(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


@cache
def headings(page: Path) -> set[str]:
    return set(re.findall(r"^#+ (.+)$", without_code(page), re.MULTILINE))


def anchor(heading: str) -> str:
    """Return the anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def broken_citations(text: str) -> list[str]:
    """Return what a text cites and this repository does not have: pages, and sections of pages."""
    broken = []
    for name, heading in CITATION.findall(text):
        page = ROOT / name
        if not page.is_file():
            broken.append(name)
        elif heading and heading not in headings(page):
            broken.append(f'{name}, "{heading}"')
    return broken


def test_code_cites_pages_and_sections_that_exist() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in SOURCES}
    texts = {path: " ".join(prose(source)) for path, source in sources.items() if ".md" in source}
    assert not {path: broken for path, text in texts.items() if (broken := broken_citations(text))}


def test_settings_cite_pages_and_sections_that_exist() -> None:
    texts = {path: " ".join(path.read_text(encoding="utf-8").replace("#", " ").split()) for path in SETTINGS}
    assert not {path: broken for path, text in texts.items() if (broken := broken_citations(text))}


def test_a_missing_page_and_a_missing_section_are_noticed() -> None:
    assert broken_citations("see docs/none.md.") == ["docs/none.md"]
    assert broken_citations("(training.md section 4)") == ["training.md"]
    assert broken_citations('(docs/methods/mdreid.md, "Losses") and docs/methods/mdreid.md, "Gains".') == [
        'docs/methods/mdreid.md, "Gains"'
    ]


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target, section in LINK.findall(without_code(page)):
        if re.match(r"[a-z]+:", target):
            continue
        linked = (page.parent / target).resolve() if target else page
        assert linked.exists(), target
        if section:
            assert section in {anchor(heading) for heading in headings(linked)}, f"{target}#{section}"


def test_paths_named_in_pages_exist() -> None:
    named = {path for page in PAGES for path in re.findall(r"`([\w./-]+/[\w-]+\.(?:py|md|csv))`", without_code(page))}
    assert named
    assert not [path for path in named if not (ROOT / path).is_file()]


def test_every_folder_is_described() -> None:
    described = set(re.findall(r"^\| `(\w+)` \|", CONTRIBUTING, re.MULTILINE))
    assert described == {path.parent.name for path in (ROOT / "mdreid_bench").glob("*/__init__.py")}


def test_each_file_on_the_way_to_a_place_uses_the_next() -> None:
    section = CONTRIBUTING.split("## Where things happen")[1].split("\n## ")[0]
    ways = [re.findall(r"`([\w/]+\.(?:md|py))`", line) for line in section.splitlines() if "README.md" in line]
    assert len(ways) >= 4
    for way in ways:
        assert len(way) <= LONGEST_WAY
        for path, following in pairwise(way):
            text = (ROOT / path).read_text(encoding="utf-8")
            assert following in text or following.removesuffix(".py").replace("/", ".") in text, (path, following)
