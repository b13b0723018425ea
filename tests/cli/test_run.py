"""``mdreid-bench run`` as a user's shell sees it, on small planted trees."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import environment, in_process, mdreid_bench
from tests.data.trees import plant

ROOT = Path(__file__).resolve().parents[2]
SMALL = (
    "--set", "trunk.pretrained=null", "--set", "trunk.layers=2", "--set", "image.size=[32, 48]",
    "--set", "batch.instances=2", "--batch-size", "4", "--epochs", "1",
)  # fmt: skip


class Place:
    """A data root with small planted datasets, a cache and a results folder."""

    def __init__(self, base: Path) -> None:
        self.data, self.results = base / "data", base / "results"
        self.environment = environment(MDREID_CACHE=str(base / "cache"), OMP_NUM_THREADS="1")
        for dataset in ("msvr310", "rgbnt100"):
            plant(self.data, dataset)

    def run(self, *arguments: str, small: bool = True) -> tuple[int, str, str]:
        """Call ``run`` and return exit code, stdout and stderr."""
        common = ("--data-root", str(self.data), "--results", str(self.results), *(SMALL if small else ()))
        done = in_process("run", *arguments, *common, env=self.environment)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("run"))


def test_first_run_trains_and_the_second_reuses(place: Place) -> None:
    code, out, err = place.run("--dataset", "msvr310", "--method", "mdreid", "--protocol", "R-to-NT")
    assert code == 0, err
    assert "Preset: tiny" in err
    assert "1 new, 0 cached" in err
    record = Path(out.splitlines()[-1])
    assert record.name == "R-to-NT.json"
    content = json.loads(record.read_text())
    assert (content["method"], content["protocol"], content["data_kind"]) == ("mdreid", "R-to-NT", "real")
    assert f"{100 * content['metrics']['mAP']:.1f}" in out
    assert "chance" in out

    code, again, err = place.run("--dataset", "msvr310", "--method", "mdreid", "--protocol", "R-to-NT")
    assert code == 0
    assert "0 new, 1 cached" in err
    assert "training mdreid" not in err
    assert again == out


def test_what_is_stored_is_shown_without_importing_torch(place: Place) -> None:
    """That import takes longer than all the rest; of ``score`` and ``report`` the same holds."""
    names = ("--dataset", "msvr310", "--method", "mdreid", "--method", "random", "--protocol", "R-to-NT")
    code, out, err = place.run(*names)
    assert code == 0, err
    common = ["--data-root", str(place.data), "--results", str(place.results)]
    run = next(path.parents[1].name for path in place.results.glob("runs/*-mdreid-*/full/R-to-NT.json"))
    calls = [["run", *names, *common, *SMALL], ["score", "--run", run, "--protocol", "R-to-N", *common[2:]]]
    calls += [["report", *common[2:]]]
    script = (
        "import json, sys\n"
        "from tests.cli.running import environment, in_process\n"
        f"done = [in_process(*call, env={dict(place.environment)!r}) for call in {calls!r}]\n"
        "heavy = {'torch', 'torchvision', 'open_clip', 'pandas', 'sklearn', 'scipy', 'matplotlib'}\n"
        "print(json.dumps([[each.returncode for each in done], done[0].stdout, sorted(heavy & set(sys.modules))]))"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    codes, again, heavy = json.loads(shown.stdout)
    assert (codes, heavy) == ([0, 0, 0], [])
    assert again == out


def test_whole_grid_of_two_datasets(place: Place) -> None:
    names = ("--dataset", "msvr310", "--dataset", "rgbnt100", "--method", "single-classifier", "--protocol", "all")
    code, out, err = place.run(*names)
    assert code == 0, err
    assert len(list(place.results.glob("runs/*single-classifier*/full/*-to-*.json"))) == 98
    assert Path(out.splitlines()[-1]) == place.results / "runs"


def test_dry_run_touches_nothing(place: Place, tmp_path: Path) -> None:
    names = ("--dataset", "msvr310", "--method", "mdreid", "--protocol", "matched", "--dry-run", "--seed", "99")
    before = sorted(place.results.rglob("*"))
    code, out, _ = place.run(*names)
    assert code == 0
    assert "train, extract, score" in out
    assert sorted(place.results.rglob("*")) == before


def test_a_configuration_from_a_pipe_reaches_the_plan(place: Place) -> None:
    names = ("--dataset", "msvr310", "--method", "mdreid", "--protocol", "R-to-NT", "--dry-run")
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as end:
        end.write("seed: 4711\n")
    try:
        code, out, err = place.run(*names, "--config", f"/dev/fd/{reading}")
    finally:
        os.close(reading)
    assert code == 0, err
    assert "4711" in out


def test_limit_is_marked_in_table_and_record(place: Place) -> None:
    names = ("--dataset", "rgbnt100", "--method", "single-classifier", "--limit", "12", "--protocol", "RNT-to-RNT")
    code, out, err = place.run(*names)
    assert code == 0, err
    assert "limit" in out.lower()
    content = json.loads(Path(out.splitlines()[-1]).read_text())
    assert content["limit"] == 12
    assert content["counts"]["gallery"] <= 12


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--dataset", "msvr301"), 2, "Did you mean 'msvr310'"),
        (("--protocol", "R-to-NX"), 2, "Unknown protocol"),
        (("--method", "mdried"), 2, "Did you mean 'mdreid'"),
        (("--preset", "papr"), 2, "Did you mean 'paper'"),
        (("--set", "bach.size=3"), 2, "Did you mean 'batch'"),
        (("--set", "method=mdreid"), 2, "set by --method"),
        (("--batch-size", "400"), 2, "400 / 2 = 200 identities, but the training set has 4"),
        (("--limit", "1"), 2, "use at least"),
        (("--weights", "nothing.safetensors"), 3, "nothing.safetensors"),
        (("--device", "tpu"), 2, "Unknown value of --device"),
        (("--config", "nothing.yaml"), 2, "nothing.yaml"),
        (("--seed", str(2**64)), 2, f"--seed takes a whole number from 0 to {2**63 - 1}, not"),
        (
            ("--set", f"seed={2**64}"),
            2,
            f"key seed takes a number of at most {2**63 - 1}, not {2**64}.",
        ),
        (("--on-nan", "go"), 2, "Valid: stop, skip"),
        (("--set", "trunk.pretrained=openia"), 2, "openia"),
        (("--set", "trunk.name=ViT-B-16-quickgel"), 2, "Did you mean"),
        (("--data-root", "/nowhere"), 3, "/nowhere"),
        (("--method", "mdreid", "--weights", "nothing.safetensors"), 3, "nothing.safetensors"),
    ],
)
def test_mistakes_are_one_sentence(place: Place, arguments: tuple[str, ...], code: int, message: str) -> None:
    given = {a for a in arguments if a.startswith("--")}
    base = [] if "--dataset" in given else ["--dataset", "msvr310"]
    common = ["--results", str(place.results), "--set", "batch.instances=2"]
    common += [] if "--data-root" in given else ["--data-root", str(place.data)]
    common += [] if "--batch-size" in given else ["--batch-size", "4"]
    done = in_process("run", *base, *arguments, *common, env=place.environment)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert "Traceback" not in done.stderr


def test_cuda_is_refused_where_there_is_none(place: Place) -> None:
    hidden = place.environment | {"CUDA_VISIBLE_DEVICES": ""}
    done = in_process("run", "--dataset", "msvr310", "--device", "cuda", env=hidden)
    assert done.returncode == 2
    assert "--device cpu" in done.stderr


def test_empty_data_root(place: Place, tmp_path: Path) -> None:
    done = mdreid_bench("run", "--dataset", "rgbnt201", "--data-root", str(tmp_path), env=place.environment)
    assert done.returncode == 3
    assert "train_171" in done.stderr
    assert "empty folder" in done.stderr


def test_faulty_images_stop_everything_before_training(place: Place, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(place.data / "MSVR310", root / "MSVR310")
    images = sorted(root.rglob("*.jpg"))
    images[0].write_bytes(images[0].read_bytes()[:60])
    images[4].unlink()
    names = ("--dataset", "msvr310", "--data-root", str(root), "--results", str(tmp_path / "results"))
    done = in_process("run", *names, env=place.environment)
    assert done.returncode == 3
    assert images[0].name in done.stderr
    assert images[4].name in done.stderr
    assert not (tmp_path / "results").exists()
