"""The examples in CONTRIBUTING.md work as they are printed."""

import re
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
from mdreid_bench.training.forward import Forward
from mdreid_bench.training.optimiser import build_optimizer
from protocols.modality import RNT, subsets
from protocols.suites import resolve as resolve_protocols
from tests.data.trees import check_dataset, faults, paint
from tests.support import FACTS, SIZE, SMALL, images, training_batch

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def example(first_line: str) -> dict[str, Any]:
    """Run the example that starts with a comment and return its names."""
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if block.startswith(first_line))
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, first_line, "exec"), names)
    return names


def test_every_example_is_tested_here() -> None:
    assert TEXT.count("```python\n") == 5


METHODS = {"mean_token": "MeanToken", "mean_feature": "MeanFeature"}


def built(file: str, **changes: Any) -> tuple[Method, RunConfig]:
    method_class: type[Method] = example(f"# baselines/{file}.py")[METHODS[file]]
    name, model = method_class.card.name, method_class.card.options_model
    config = resolve(
        name, model, method_class.card.recipes, "msvr310", SIZE, "tiny", Overrides(flags={**SMALL, **changes})
    )
    return method_class.build(config, FACTS), config


@pytest.mark.parametrize("file", METHODS)
def test_the_methods_train_and_embed_every_subset(file: str) -> None:
    method, _ = built(file)
    (loss,) = method.training_losses(training_batch()).values()
    assert torch.isfinite(loss)
    vectors = method.eval().embed_all(images(2), torch.tensor([0, 1]), subsets(RNT))
    assert len({vector.shape for vector in vectors.values()}) == 1
    for vector in vectors.values():
        torch.testing.assert_close(vector.norm(dim=1), torch.ones(2))


def test_a_backbone_of_its_own_has_the_pretrained_rate_and_is_compiled() -> None:
    method, config = built("mean_feature", optimizer={"lr": 1e-3, "trunk_lr": 1e-5}, evaluation={"compile": True})
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


def test_the_suite_has_the_seven_protocols_it_says() -> None:
    suite = example("# in protocols/suites.py")["thermal_query"]["thermal-query"](RNT)
    assert len(suite) == 7
    assert all(str(protocol).startswith("T-to-") for protocol in suite)
