"""The published figures: how they are read, and some that can be looked up."""

import csv
from pathlib import Path

import pytest

from mdreid_bench.errors import DataError
from mdreid_bench.results import published
from mdreid_bench.results.published import FIELDS, SOURCES, Figure, figures, folder, method_key
from protocols.protocol import Protocol

NAMED = ("average:missing", "average:paper-mismatched", "average:ablation", "mean:paper-mismatched", "harmonic-mean")


def value(method: str, dataset: str, protocol: str, metric: str, paper: str = "MDReID") -> float:
    (figure,) = {
        f.value: f
        for f in figures()
        if (f.paper, f.method, f.dataset, f.protocol, f.metric) == (paper, method, dataset, protocol, metric)
    }.values()
    return figure.value


def test_some_figures_as_printed() -> None:
    assert value("MDReID", "rgbnt201", "RNT-to-RNT", "mAP") == 82.1
    assert value("MDReID", "rgbnt201", "RT-to-NT", "rank1") == 51.7
    assert value("MDReID", "rgbnt201", "NT-to-NT", "mAP") == 67.0  # RGB missing
    assert value("MDReID", "msvr310", "average:paper-mismatched", "mAP") == 22.1
    assert value("MDReID", "", "", "parameters_millions") == 57.2
    assert value("MAN", "rgbnt100->wmveid863", "RT-to-RT", "mAP", "MAN") == 53.02
    assert value("MAN", "market1501-mm->rgbnt201-141-60", "RNT-to-RNT", "rank10", "MAN") == 46.65
    assert value("Source only (CLIP)", "wmveid863->rgbnt100", "RNT-to-RNT", "rank1", "MAN") == 72.3
    assert value("Oracle (target labels)", "wmveid863->rgbnt100", "RNT-to-RNT", "mAP", "MAN") == 69.03


def test_every_figure_has_a_known_protocol_and_a_listed_source() -> None:
    with (folder() / SOURCES).open(encoding="utf-8", newline="") as stream:
        sources = {row["source"] for row in csv.DictReader(stream)}
    assert len(figures()) == 1595 + 556 + 197 + 4
    for figure in figures():
        assert figure.source in sources
        assert figure.protocol in ("", *NAMED) or str(Protocol.parse(figure.protocol)) == figure.protocol
        assert figure.dataset == figure.dataset.lower()


def test_the_averages_worked_out_are_the_means_of_the_printed_cells() -> None:
    names = ("RT-to-NT", "RT-to-N", "R-to-N", "R-to-NT")
    derived = [figure for figure in figures() if figure.protocol == "mean:paper-mismatched"]
    assert len(derived) == 18
    for figure in derived:
        cells = [value(figure.method, figure.dataset, name, figure.metric) for name in names]
        assert figure.value == pytest.approx(sum(cells) / 4)


def test_a_row_becomes_a_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = Figure(
        "MDReID", "Table 2", "rgbnt201", "TOP-ReID", "NT-to-NT", "mAP", 54.4, "arXiv 2510.23301", "seen, twice"
    )
    with (tmp_path / "mdreid.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS)
        writer.writeheader()
        writer.writerow(vars(expected))
    monkeypatch.setattr(published, "folder", lambda: tmp_path)
    assert figures.__wrapped__() == (expected,)
    assert expected.place == "MDReID Table 2"


@pytest.mark.parametrize("content", ["", "paper,value\nA,1\n", ",".join(FIELDS) + "\na,b,c,d,e,f,x,h,i\n", "\xff"])
def test_a_damaged_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    (tmp_path / "odd.csv").write_text(content, encoding="latin-1")
    monkeypatch.setattr(published, "folder", lambda: tmp_path)
    with pytest.raises(DataError, match=r"odd\.csv are damaged"):
        figures.__wrapped__()


def test_names_of_one_method_share_a_key() -> None:
    assert len({method_key(name) for name in ("TOP-ReID", "top-reid", "TOP-ReID*", "TOP-ReID(B)")}) == 1
    assert method_key("TOP-ReID AL") != method_key("TOP-ReID")
    assert method_key("DeMo† (CLIP)") == method_key("demo") != method_key("DeMo* (ViT)")
