"""``mdreid-bench show-config``: complete, explained, and usable as a configuration file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mdreid_bench.config import presets
from mdreid_bench.config.explain import origins
from mdreid_bench.config.resolve import Overrides, resolve
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.config.tree import read_yaml
from mdreid_bench.data import registry as datasets
from mdreid_bench.models import registry as methods
from tests.cli.running import START, Outcome, environment, in_process

RGBNT100 = ("--method", "mdreid", "--dataset", "rgbnt100", "--preset", "paper")


def shown(*arguments: str) -> Outcome:
    done = in_process("show-config", *arguments, env=environment())
    assert done.returncode == 0, done.stderr
    return done


def test_the_preset_is_the_one_that_run_would_choose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ("--method", "mdreid", "--dataset", "msvr310")
    assert shown(*asked).stdout.startswith("# mdreid on msvr310, preset tiny\n")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    (tmp_path / "MSVR310").mkdir()
    real = in_process("show-config", *asked, env=environment(MDREID_DATA=str(tmp_path)))
    assert real.stdout.startswith("# mdreid on msvr310, preset paper\n")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    real = in_process("show-config", *asked, env=environment(MDREID_DATA=str(tmp_path)))
    assert real.stdout.startswith("# mdreid on msvr310, preset tiny\n")


def test_the_output_is_the_complete_configuration_and_can_be_used_as_one(tmp_path: Path) -> None:
    file = tmp_path / "mdreid.yaml"
    file.write_text(shown(*RGBNT100, "--set", "options.rol=paper").stdout, encoding="utf-8")
    tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert set(tree) == set(RunConfig.model_fields) - {"method", "dataset", "preset", "sources"}
    mdreid = methods.card("mdreid")
    user = Overrides(read_yaml(file))
    again = resolve("mdreid", mdreid.options_model, mdreid.recipes, "rgbnt100", (9, 9), "tiny", user)
    assert (again.seed, again.optimizer.lr, again.image.size) == (1111, 1.5e-4, (128, 256))
    assert (again.schedule.epochs, again.options["rol"]) == (50, "paper")


def test_every_value_stands_below_its_meaning_and_its_source() -> None:
    lines = shown(*RGBNT100, "--set", "schedule.epochs=20", "--set", "augment.flip=0").stdout.splitlines()
    assert lines[0] == "# mdreid on rgbnt100, preset paper"

    def above(entry: str) -> str:
        place = lines.index(entry)
        start = next(i for i in range(place - 1, -1, -1) if not lines[i].lstrip().startswith("#"))
        return " ".join(line.strip().lstrip("# ") for line in lines[start + 1 : place])

    assert "base learning rate source: released configuration; the paper states 3.5e-4" in above("  lr: 0.00015")
    assert "probability of a horizontal flip source: set by the user" in above("  flip: 0.0")
    assert "shortened in proportion" in above("  warmup: 4")
    assert "source: released code; the paper speaks of two tokens" in above("  tie_shared_token: true")


@pytest.mark.parametrize("preset", presets.names())
@pytest.mark.parametrize("dataset", ["rgbnt201", "rgbnt100", "msvr310"])
@pytest.mark.parametrize("method", ["mdreid", "single-classifier", "top-reid", "editor", "mfrnet", "demo"])
def test_every_value_of_every_recipe_has_a_source(method: str, dataset: str, preset: str) -> None:
    chosen, card = methods.card(method), datasets.get(dataset).card
    config = resolve(method, chosen.options_model, chosen.recipes, dataset, card.image_size, preset, Overrides())
    sourced = origins(method, chosen.recipes, dataset, preset, Overrides())
    values = {
        f"{section}.{key}" for section, tree in config.model_dump().items() if isinstance(tree, dict) for key in tree
    }
    assert {key for key in values | {"seed", "selection", "precision"} if not sourced.get(key)} == set()


@pytest.mark.skipif(os.name != "posix", reason="needs a shell with pipes")
@pytest.mark.parametrize("source", ["-", "/dev/fd/3"])
def test_a_configuration_may_come_from_a_pipe(source: str) -> None:
    command = (
        f'echo "schedule: {{epochs: 7}}" | "{sys.executable}" -c "{START}" show-config $0 "$@" --config {source}'
    )
    command += " 3<&0" if source.endswith("3") else ""
    done = subprocess.run(
        ["sh", "-c", command, *RGBNT100], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    place = lines.index("  epochs: 7")
    assert lines[place - 1] == "  # source: set by the user"


@pytest.mark.skipif(os.name != "posix", reason="needs a shell with pipes")
def test_an_endless_configuration_is_refused() -> None:
    command = f'yes "#" | "{sys.executable}" -c "{START}" show-config $0 "$@" --config /dev/stdin'
    done = subprocess.run(
        ["sh", "-c", command, *RGBNT100], env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "/dev/stdin has more than 1000000 bytes" in done.stderr


def test_unknown_names_exit_2() -> None:
    for arguments in (("--method", "mdried", "--dataset", "rgbnt100"), (*RGBNT100, "--set", "optimizer.rl=1")):
        done = in_process("show-config", *arguments, env=environment())
        assert (done.returncode, done.stdout) == (2, "")
        assert "Did you mean" in done.stderr
