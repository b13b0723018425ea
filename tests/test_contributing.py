"""The examples in CONTRIBUTING.md work as they are printed."""

import os
import re
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from mdreid_bench.config.resolve import Overrides, resolve
from mdreid_bench.config.schema import MemoryConfig, RunConfig
from mdreid_bench.data import registry
from mdreid_bench.data.check_rules import Kind
from mdreid_bench.data.dataset import Dataset
from mdreid_bench.data.items import Role
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.embedding.extract import ready
from mdreid_bench.errors import UsageError
from mdreid_bench.models.method import Method
from mdreid_bench.processes.ranks import ALONE
from mdreid_bench.progress import Silent
from mdreid_bench.testing import DATASET_CHECKS, METHOD_CHECKS
from mdreid_bench.training.forward import Forward
from mdreid_bench.training.optimiser import build_optimizer
from protocols.suites import resolve as resolve_protocols
from tests.cli.running import environment
from tests.data.trees import check_dataset, faults, paint
from tests.support import FACTS, SIZE, SMALL

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def example(first_line: str) -> dict[str, Any]:
    """Run the example that starts with a comment and return its names."""
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if block.startswith(first_line))
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, first_line, "exec"), names)
    return names


def mean_feature(**changes: Any) -> tuple[Method, RunConfig]:
    method_class: type[Method] = example("# baselines/mean_feature.py")["MeanFeature"]
    name, model = method_class.card.name, method_class.card.options_model
    config = resolve(
        name, model, method_class.card.recipes, "msvr310", SIZE, "tiny", Overrides(flags={**SMALL, **changes})
    )
    return method_class.build(config, FACTS), config


def test_a_backbone_of_its_own_has_the_pretrained_rate_and_is_compiled() -> None:
    method, config = mean_feature(optimizer={"lr": 1e-3, "trunk_lr": 1e-5}, evaluation={"compile": True})
    names = {id(p): name for name, p in method.named_parameters()}
    groups = build_optimizer(method, config).param_groups
    rates = {names[id(p)]: group["target"] for group in groups for p in group["params"]}
    assert {rate for name, rate in rates.items() if name.startswith("backbone.")} == {1e-5}
    assert rates["head.classifier.weight"] == 1e-3
    copied: Any = ready(method, config, torch.device("cpu"))
    assert copied.backbone._compiled_call_impl is not None
    with pytest.raises(
        UsageError, match=r"ResNet cannot compute its activations again; leave memory\.checkpointing out"
    ):
        Forward(method, config.model_copy(update={"memory": MemoryConfig(checkpointing=True)}), "fp32", ALONE)
    with pytest.raises(UsageError, match="cannot take a batch apart"):
        Forward(method, config.model_copy(update={"memory": MemoryConfig(micro_batch=2)}), "fp32", ALONE)


def test_a_method_that_does_not_name_its_backbones_cannot_be_built() -> None:
    names = example("# baselines/mean_feature.py")
    silent = type("Silent", (names["MeanFeature"],), {"backbones": Method.backbones})
    with pytest.raises(TypeError, match="backbones"):
        silent(names["ResNet"](None), FACTS)


def test_the_dataset_reads_its_names() -> None:
    dataset: Dataset = example("# mdreid_bench/data/yard.py")["Yard"]()
    paths = [f"query/{sensor}/0007_c2_0001.jpg" for sensor in ("rgb", "nir", "tir")]
    scan = dataset.scan([*paths, "train/rgb/0008_c1_0001.jpg", "gallery/rgb/no.jpg"])
    item, *lone = scan.items
    assert (item.identity, item.camera, item.scene, item.roles) == (7, 1, 0, Role.QUERY)
    assert list(item.images.values()) == paths
    assert len(lone) == len(scan.missing) == 1
    assert len(faults(scan)) == 3


def test_the_dataset_of_lone_images_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDREID_CACHE", str(tmp_path / "cache"))
    dataset: Dataset = example("# mdreid_bench/data/alley.py")["Alley"]()
    monkeypatch.setattr(registry, "get", lambda name: dataset)
    for role, camera, identity in product(("train", "test"), (1, 2, 3), (1, 2)):
        number = identity + 2 * (role == "test")
        key = f"{role} {camera} {identity}"
        paint(tmp_path / "Alley" / role / f"cam{camera}" / f"{number:04d}" / "0001.jpg", (12, 8), key)
    index = open_dataset("alley", tmp_path, Silent())
    assert {finding.kind for finding in check_dataset("alley", tmp_path, Silent()).findings} == {Kind.COUNT}
    sizes = []
    for setting in resolve_protocols(dataset.card.default_protocols, index.sensors):
        (trial,) = dataset.trials(index.test, setting)
        sizes.append((len(trial.query), len(trial.gallery)))
    assert sizes == [(2, 4), (4, 2)]


PACKAGE = "yard_reid"
"""Of somebody else, with all examples in it."""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write every example where it says, but below a package of its own, and install that with its entry points."""
    root = tmp_path_factory.mktemp("elsewhere")
    for folder, title in (("yard_reid-1.dist-info", "METADATA"), (PACKAGE, "__init__.py"), ("tests", "__init__.py")):
        (root / folder).mkdir()
        (root / folder / title).write_text(
            "Metadata-Version: 2.1\nName: yard-reid\nVersion: 1\n" * (title == "METADATA")
        )
    for code in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        place = Path(code.splitlines()[0].removeprefix("# "))
        (root / (place if place.parts[0] == "tests" else Path(PACKAGE, place.name))).write_text(code)
    groups: dict[str, list[str]] = {}
    for group, entry in re.findall(r"```toml\n\[project\.entry-points\.\"(.*?)\"\]\n(.*?)\n```", TEXT):
        groups.setdefault(group, []).append(re.sub(r'"[\w.]+\.(\w+:\w+)"', rf"{PACKAGE}.\1", entry))
    entries = "\n".join("\n".join([f"[{group}]", *lines]) for group, lines in groups.items())
    (root / "yard_reid-1.dist-info" / "entry_points.txt").write_text(entries)
    for role, identity, camera in product(("train", "query", "gallery"), (1, 2), (1, 2)):
        name = f"{identity + 4 * (role != 'train'):04d}_c{camera}_0001.jpg"
        for sensor in ("rgb", "nir", "tir"):
            paint(root / "data" / "Yard" / role / sensor / name, (12, 8), f"{role} {name} {sensor}")
    return root


def call(root: Path, code: str) -> list[str]:
    """Run code where the package is installed, in an interpreter of its own; return the lines that it prints."""
    own = environment(PYTHONPATH=os.pathsep.join([str(root), *sys.path]), MDREID_CACHE=str(root / "cache"))
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=root, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_examples_work_in_a_package_of_their_own(elsewhere: Path) -> None:
    quick = "--preset tiny --epochs 1 --batch-size 4 --set batch.instances=2 --set image.size=[32,32]"
    cells = f"--dataset yard --data-root data --results results --method mean-token --protocol thermal-query {quick}"
    calls = ["list methods", "list datasets", "list suites", f"run {cells} --set trunk.pretrained=null"]
    calls += ["report --results results --suite thermal-query", "show-config --method mean-feature --dataset alley"]
    shown = "\n".join(
        call(
            elsewhere,
            "import pytest; from typer.testing import CliRunner; from mdreid_bench.cli.app import app\n"
            f"done = [CliRunner().invoke(app, line.split()) for line in {calls}]\n"
            "assert not any(one.exit_code for one in done), [one.output for one in done if one.exit_code]\n"
            "print(*(one.stdout for one in done))\n"
            "chosen = ['-q', '-p', 'no:cacheprovider', '-k', 'not mean-feature', 'tests/test_contracts.py']\n"
            "assert pytest.main(chosen) == 0",
        )
    )
    for name in ("mean-token", "mean-feature", "yard", "alley", "thermal-query", "Mean token", "Suite thermal-query"):
        assert name in shown, name
    assert len(list((elsewhere / "results").glob("runs/yard-mean-token-*/full/T-to-*.json"))) == 7
    assert f"{len(METHOD_CHECKS) + len(DATASET_CHECKS)} passed" in shown


@pytest.mark.slow
def test_the_method_with_a_backbone_of_its_own_keeps_its_contract(elsewhere: Path) -> None:
    code = "import pytest; assert pytest.main(['-q', '-k', 'mean-feature', 'tests/test_contracts.py']) == 0"
    assert f"{len(METHOD_CHECKS)} passed" in call(elsewhere, code)[-1]
