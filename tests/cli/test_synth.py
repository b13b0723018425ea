"""``mdreid-bench synth``: what it asks the generator for."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mdreid_bench.cli.app import app
from mdreid_bench.data import registry
from mdreid_bench.data.synthetic import generate as generator
from mdreid_bench.progress import Reporter
from tests.cli.running import environment

Call = tuple[Path, str, str, int]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Collect what the generator is asked for instead of drawing images."""
    found: list[Call] = []

    def record(root: Path, dataset: str, scale: str, seed: int, reporter: Reporter) -> None:
        found.append((root, dataset, scale, seed))

    monkeypatch.setattr(generator, "generate", record)
    return found


def run(*arguments: str) -> Result:
    return CliRunner(env=environment()).invoke(app, ["synth", *arguments])


def test_all_datasets_by_default_and_the_folder_is_the_last_line(calls: list[Call], tmp_path: Path) -> None:
    done = run(str(tmp_path))
    assert done.exit_code == 0
    assert calls == [(tmp_path, name, "tiny", 0) for name in registry.names() if registry.get(name).drawable]
    assert done.stdout == f"{tmp_path}\n"


def test_options_reach_the_generator(calls: list[Call], tmp_path: Path) -> None:
    named = ["--dataset", "msvr310", "--dataset", "RGBNT201", "--dataset", "msvr310"]
    assert run(str(tmp_path), *named, "--scale", "full", "--seed", "7").exit_code == 0
    assert calls == [(tmp_path, name, "full", 7) for name in ("msvr310", "rgbnt201")]


def test_an_unknown_dataset_exits_2_before_anything_is_written(calls: list[Call], tmp_path: Path) -> None:
    done = run(str(tmp_path), "--dataset", "msvr310", "--dataset", "msvr301")
    assert done.exit_code == 2
    assert "Unknown dataset 'msvr301'. Did you mean 'msvr310'?" in done.stderr
    assert calls == []


@pytest.mark.parametrize("arguments", [["--scale", "huge"], ["--seed", "-1"], []])
def test_impossible_options_exit_2(calls: list[Call], tmp_path: Path, arguments: list[str]) -> None:
    folder = [str(tmp_path)] if arguments else []
    assert run(*folder, *arguments).exit_code == 2
    assert calls == []
