"""Every form of a table against its golden file, and texts that try to be obeyed."""

import csv
import io
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from mdreid_bench.report.render.csv import render_csv
from mdreid_bench.report.render.latex import FOLDER, MAIN, escape, render_latex
from mdreid_bench.report.render.markdown import render_markdown
from mdreid_bench.report.sections import Section
from mdreid_bench.report.table import Table
from tests.report.samples import comparison_table, hostile_table, shaded_table

GOLDEN = Path(__file__).parent / "golden"
SECTIONS = [Section("paper-mismatched", (comparison_table(),)), Section("grid", (shaded_table(),))]
KERNEL = {
    *("begin", "end", "caption", "label", "centering", "raggedright", "par", "parskip", "tabcolsep", "setlength"),
    *(
        "tiny",
        "scriptsize",
        "footnotesize",
        "small",
        "textbf",
        "underline",
        "textsuperscript",
        "shortstack",
        "allowbreak",
    ),
    *("strut", "smallskip", "tabularnewline", "multicolumn", "providecommand", "pm", "cdot", "times", "to", "dagger"),
    *("textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater", "textbar"),
}
"""Commands that every document class has."""


def golden(name: str) -> str:
    return (GOLDEN / name).read_text(encoding="utf-8")


def test_latex_golden() -> None:
    files = render_latex(SECTIONS)
    assert list(files)[-1] == MAIN
    assert "".join(files.values()) == golden("report.tex")


def test_markdown_golden() -> None:
    assert render_markdown(comparison_table()) == golden("comparison.md")


def test_csv_golden() -> None:
    assert render_csv([comparison_table()]) == golden("comparison.csv")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50 %", r"50 \%"),
        ("a_b", r"a\_\allowbreak{}b"),
        ("--limit 5", "-{}-limit 5"),
        ("top-reid", "top-reid"),
        ("--- x", "-{}-{}- x"),
        ("± é λ \ufb01", r"$\pm$ é ? fi"),
        ("\\input{x}", r"\textbackslash{}input\{x\}"),
        ("[5pt]", "{[}5pt{]}"),
    ],
)
def test_latex_obeys_no_text(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_a_note_of_several_tables_stands_once_at_the_end() -> None:
    shared = "Measured on a machine."
    tables = tuple(replace(comparison_table(), title=name, footnotes=(shared, f"of {name}")) for name in "ab")
    files = render_latex([Section("x", tables)])
    main, fragments = files.pop(MAIN), list(files.values())
    assert main.count(shared) == 1
    assert r"\newcommand{\mdreidnotes}[2]{#1}" in main
    again = "\\mdreidnotes{Notes (1) at the end.\\par}{%\n" + shared + "\\par\n}"
    assert all(again in text for text in fragments)


@pytest.mark.parametrize("table", [comparison_table(), shaded_table(), hostile_table()])
def test_a_fragment_asks_for_booktabs_alone(table: Table) -> None:
    """Whatever else it uses it declares, or LaTeX has it."""
    (text,) = (text for name, text in render_latex([Section("x", (table,))]).items() if name != MAIN)
    declared = set(re.findall(r"\\providecommand\{\\([a-z]+)\}", text))
    booktabs = {"toprule", "midrule", "bottomrule", "cmidrule"}
    used = set(re.findall(r"\\([A-Za-z]+)", re.sub(r"^%.*$|\\\\", " ", text, flags=re.MULTILINE)))
    assert used <= declared | booktabs | KERNEL
    assert text.count(r"\begin{") == text.count(r"\end{")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_the_latex_compiles_without_a_warning(tmp_path: Path) -> None:
    put_latex(tmp_path)
    log = compiled(tmp_path, MAIN)
    assert not re.search(r"Warning(?!: Label\(s\) may have changed)|Overfull|Underfull|Missing character", log)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
@pytest.mark.parametrize(
    ("kind", "needed"),
    [("[twocolumn]{scrartcl}", ["scrartcl.cls"]), ("[conference]{IEEEtran}", ["IEEEtran.cls", "ptmr7t.tfm"])],
)
def test_fragments_compile_in_a_document_of_another_class(tmp_path: Path, kind: str, needed: list[str]) -> None:
    if any(subprocess.run(["kpsewhich", name], capture_output=True, check=False).returncode for name in needed):
        pytest.skip(f"needs the LaTeX files {', '.join(needed)}")
    fragments = [name for name in put_latex(tmp_path) if name != MAIN]
    body = "\n".join(rf"Text.\input{{{name}}}" for name in fragments)
    head = rf"\documentclass{kind}\usepackage{{booktabs}}\begin{{document}}"
    (tmp_path / "paper.tex").write_text(rf"{head}{body}\end{{document}}", encoding="utf-8")
    assert not re.search(r"Missing character|Undefined", compiled(tmp_path, "paper.tex"))


def put_latex(folder: Path) -> list[str]:
    """Write the files of all samples, and return their names."""
    files = render_latex([*SECTIONS, Section("other", (hostile_table(),))])
    (folder / FOLDER).mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return list(files)


def compiled(folder: Path, name: str) -> str:
    """Compile a document and return what LaTeX had to say."""
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", name]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    return (folder / name).with_suffix(".log").read_text(encoding="utf-8", errors="replace")


def test_csv_reads_back_every_number_unrounded() -> None:
    lines = list(csv.DictReader(io.StringIO(render_csv([comparison_table(), hostile_table()]))))
    assert len(lines) == 11
    assert float(lines[1]["value"]) == 25.375
    assert lines[5]["missing"] == "not run"
    assert lines[-2]["provenance"].endswith("é λ ±")
