"""``mdreid-bench check``: a table, JSON, exit codes."""

import json
from pathlib import Path

import pytest

from mdreid_bench.data.datasets.msvr310 import MSVR310
from mdreid_bench.data.synthetic.generate import generate
from mdreid_bench.progress import Silent
from tests.cli.running import Outcome, environment, in_process
from tests.data.trees import small_plan


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with a few synthetic images."""
    plan = small_plan("msvr310")
    monkeypatch.setattr(MSVR310, "plan", lambda *_: plan)
    generate(tmp_path / "data", "msvr310", "tiny", 0, Silent())
    return tmp_path / "data"


def _check(root: Path, *more: str) -> Outcome:
    own = environment(MDREID_CACHE=str(root.parent / "cache"))
    return in_process("check", "--dataset", "msvr310", "--data-root", str(root), *more, env=own)


def test_healthy_data_exit_with_0(root: Path) -> None:
    done = _check(root)
    assert done.returncode == 0
    assert done.stdout == "No faults in the 144 files of MSVR310, 48 items.\n"


def test_faults_are_one_table_and_exit_3(root: Path) -> None:
    images = sorted((root / "MSVR310" / "bounding_box_train").rglob("*.jpg"))
    images[0].write_bytes(images[0].read_bytes()[:100])
    images[5].unlink()
    stray = images[0].with_name("stray\x1b[2J.jpg")
    stray.touch()
    done = _check(root)
    assert done.returncode == 3
    for path, kind in ((images[0], "unreadable image"), (images[5], "missing file")):
        (line,) = (line for line in done.stdout.splitlines() if path.relative_to(root / "MSVR310").as_posix() in line)
        assert line.startswith(kind)
    assert r"stray\x1b[2J.jpg" in done.stdout
    assert "\x1b" not in done.stdout
    assert "MSVR310 (synthetic)" in done.stdout
    assert done.stderr.splitlines()[-1].endswith(
        "MSVR310 has 3 faults (name: 1, missing file: 1, unreadable image: 1), of which 3 would stop a run; "
        "repair the files and check again."
    )


def test_json_holds_the_same(root: Path) -> None:
    healthy = _check(root, "--json")
    assert healthy.returncode == 0
    assert json.loads(healthy.stdout)["faults"] == []
    path = sorted((root / "MSVR310" / "query3").rglob("*.jpg"))[3]
    path.write_bytes(b"")
    done = _check(root, "--json")
    assert done.returncode == 3
    content = json.loads(done.stdout)
    name = path.relative_to(root / "MSVR310").as_posix()
    assert content["faults"] == [
        {"kind": "unreadable image", "path": name, "what": "empty file", "stops_run": True, "count": 1}
    ]
    assert (content["files"], content["items"], content["synthetic"]) == (144, 48, True)


def test_unknown_names_and_places(root: Path) -> None:
    assert in_process("check", "--dataset", "msvr301", env=environment()).returncode == 2
    done = in_process("check", "--dataset", "rgbnt201", "--data-root", str(root), env=environment())
    assert done.returncode == 3
    assert "expected RGBNT201/" in done.stderr
