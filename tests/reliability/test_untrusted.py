"""Hostile files: nothing in them is executed, nothing leaves its folder, nothing steers a terminal or a document."""

import io
import json
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mdreid_bench.cli.console import Console
from mdreid_bench.config.tree import parse_assignments, read_yaml
from mdreid_bench.data.images import BadImageError, inspect_image, load_rgb
from mdreid_bench.embedding.stored import EmbeddingFolder
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.report.render.latex import MAIN, render_latex
from mdreid_bench.report.render.markdown import render_markdown
from mdreid_bench.report.run_table import run_tables
from mdreid_bench.report.sections import Section
from mdreid_bench.report.table import Column, Table
from mdreid_bench.results.finding import find_run
from mdreid_bench.results.per_query import QueryValues
from mdreid_bench.results.record_file import BadRecordError, decode, encode
from mdreid_bench.results.run_log import RunLog
from mdreid_bench.results.storage.archive import DamagedArchiveError, read_npz
from mdreid_bench.results.storage.hashes import canonical_hash, content_hash
from mdreid_bench.results.store import Store
from mdreid_bench.weights import checkpoint, weights_file
from protocols.names import UnknownNameError
from tests.data.trees import Recorder
from tests.reliability.machine import ARGUMENTS, Machine
from tests.report.fakes import page_of
from tests.results.factory import make_record


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = str(target)

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (self.target, "w")


@pytest.fixture
def crater(tmp_path: Path) -> Path:
    return tmp_path / "crater"


def test_the_bomb_would_go_off(crater: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(crater))).close()
    assert crater.exists()


def test_pickles_in_the_place_of_weights_are_not_opened(tmp_path: Path, crater: Path) -> None:
    for name in ("weights.safetensors", "weights.pt", "weights.pth", "weights.bin"):
        for content in (pickle.dumps(Bomb(crater)), _torch_bomb(crater)):
            path = tmp_path / name
            path.write_bytes(content)
            with pytest.raises(DataError):
                weights_file.recognise(path)
            with pytest.raises(DataError):
                checkpoint.read(path)
    assert not crater.exists()


def _torch_bomb(crater: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save({"state_dict": Bomb(crater)}, buffer)
    return buffer.getvalue()


def test_arrays_of_objects_are_not_unpickled(tmp_path: Path, crater: Path) -> None:
    array = np.array([Bomb(crater)], dtype=object)
    folder = EmbeddingFolder(tmp_path)
    np.savez(folder.items_file, names=array, identity=array)
    np.savez(tmp_path / "values.npz", names=array, ap=array)
    with pytest.raises(DataError):
        folder.read_items()
    with pytest.raises(DataError):
        QueryValues.read(tmp_path / "values.npz", content_hash(tmp_path / "values.npz"))
    assert not crater.exists()


def test_yaml_is_plain_data(tmp_path: Path, crater: Path) -> None:
    path = tmp_path / "config.yaml"
    for text in (
        f"a: !!python/object/apply:builtins.open ['{crater}', 'w']",
        f"a: !!python/object/new:builtins.open ['{crater}', 'w']",
        "a: !!python/name:os.system",
    ):
        path.write_text(text)
        with pytest.raises(UsageError):
            read_yaml(path)
        with pytest.raises(UsageError):
            parse_assignments([f"trunk.name={text[3:]}"])
    assert not crater.exists()


def test_yaml_cannot_grow_without_end(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{i}: &a{i} {{{', '.join(f'k{j}: *a{i - 1}' for j in range(9))}}}" for i in range(1, 12)]
    for text in ("\n".join(lines), "{a: " * 3_000 + "1" + "}" * 3_000, "[" * 100_000):
        path.write_text(text)
        with pytest.raises(UsageError, match="not valid YAML"):
            read_yaml(path)


@pytest.mark.parametrize("side", [9_000, 20_000])
def test_images_that_would_fill_the_memory_are_refused(tmp_path: Path, side: int) -> None:
    path = tmp_path / "bomb.jpg"
    Image.new("1", (side, side)).save(path, "PNG")
    assert path.stat().st_size < 100_000
    for read in (inspect_image, load_rgb):
        with pytest.raises(BadImageError, match="more than 64 million pixels"):
            read(path)


def test_archives_that_would_fill_the_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mdreid_bench.results.storage.archive._MAX_BYTES", 1 << 20)
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ap.npy", bytes(2 << 20))
    assert path.stat().st_size < 10_000
    with pytest.raises(DamagedArchiveError, match="holds more than"):
        read_npz(path)


@pytest.mark.parametrize("field", ["dataset", "method", "preset", "protocol", "per_query"])
@pytest.mark.parametrize(
    "value", ["../../x", "..", "/etc/passwd", "a/b", "a\\b", ".hidden", "a\n", "a\x00b", "-rf", ""]
)
def test_names_in_records_cannot_leave_their_folder(field: str, value: str) -> None:
    content = {key: v for key, v in encode(make_record()).items() if key != "digest"} | {field: value}
    with pytest.raises(BadRecordError, match=field):
        decode(json.dumps(content | {"digest": canonical_hash(content)}))


def test_a_run_is_looked_for_in_the_results_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "secret" / "full").mkdir(parents=True)
    (tmp_path / "results" / "runs").mkdir(parents=True)
    for text in ("../../secret", str(tmp_path / "secret"), "..", ".", "/"):
        with pytest.raises(UnknownNameError):
            find_run(Store(tmp_path / "results"), text)


EVIL = (
    r"\input{/etc/passwd}",
    r"\write18{reboot}",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "](javascript:alert(1))",
    "a|b",
    "$x$ & %",
    "[red]markup[/red]",
)


@pytest.mark.parametrize("text", EVIL)
def test_text_in_records_is_shown_and_not_obeyed(text: str) -> None:
    record = make_record(trunk=text, options={"rol": text}, config_overrides={"options": {"rol": text}})
    tables = run_tables([record])
    plain = Table(text, (Column(text),), ((text,),), caption=text, footnotes=(text,))
    page = page_of([record], [Section("other", (plain,))])
    data = page.partition('<script type="application/json" id="data">')[2].partition("</script>")[0]
    assert json.loads(data)["sections"][0]["tables"][0]["title"] == text
    assert not set(data) & set("<>&")
    assert page.count("<script") == 3  # the data, the library and ours
    for table in (*tables, plain):
        main = render_latex([Section("other", (table,))]).pop(MAIN).partition(r"\begin{document}")[2]
        (fragment,) = (text for name, text in render_latex([Section("other", (table,))]).items() if name != MAIN)
        assert main.count(r"\input") == 1
        assert r"\input" not in fragment.partition(r"\begin{table")[2]
        assert r"\write" not in main + fragment
        markdown = render_markdown(table)
        assert not re.search(r"(?<!\\)(<script|<img|\]\()", markdown)


STEERING = ("\x1b[2J", "\x1b]0;title\x07", "\r", "\x9b31m", "\u202e", "a\nb", "\x08")


@pytest.mark.parametrize("text", STEERING)
def test_text_cannot_steer_the_terminal(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.message(f"a{text}b")
    console.error(f"a{text}b")
    console.result(f"a{text}b")
    console.json({f"a{text}b": [f"a{text}b"]})
    with console.track(f"a{text}b", 1) as step:
        step(note=f"a{text}b")
    console.table(Table(f"a{text}b", (Column(f"a{text}b"),), ((f"a{text}b",),), footnotes=(f"a{text}b",)))
    shown = capsys.readouterr()
    for char in text:
        assert char == "\n" or char.isprintable() or char not in shown.out + shown.err
    log = RunLog(tmp_path / "run.log", Recorder())
    log.note(f"a{text}b")
    assert len((tmp_path / "run.log").read_text().splitlines()) == 1


TRIED = "tried to reach another machine"


@pytest.mark.parametrize("text", [*STEERING, "\udcff", "é", "\U000e0001", '"'])
def test_json_keeps_what_it_escapes(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    Console().json({text: [text]})
    assert json.loads(capsys.readouterr().out) == {text: [text]}


def test_nothing_is_fetched_unless_asked_for(machine: Machine, tmp_path: Path) -> None:
    """Looking up or connecting to another machine is noticed and refused, whatever library does it."""
    bundled = [part.replace("trunk.pretrained=null", "trunk.pretrained=synthetic") for part in ARGUMENTS]
    for number, arguments in enumerate((ARGUMENTS, (*bundled, "--set", "trunk.layers=6"))):
        code, job = machine.run(tmp_path / str(number), arguments=arguments)
        assert code == 0, job.text
        assert TRIED not in job.text
    asked = ("--set", "trunk.pretrained=openai", "--set", "trunk.name=ViT-B-16-quickgelu")
    code, job = machine.run(tmp_path / "asked", *asked)
    assert code == 3, job.text
    assert TRIED in job.text
    assert "could not be downloaded" in job.text
    assert "Traceback" not in job.text
