"""The examples in CONTRIBUTING.md work as they are printed."""

import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from mdreid_bench.config.resolve import Overrides, resolve
from mdreid_bench.data import registry
from mdreid_bench.data.check import check_dataset
from mdreid_bench.data.check_rules import Kind
from mdreid_bench.data.dataset import Dataset
from mdreid_bench.data.items import Role
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.models.method import Method
from mdreid_bench.progress import Silent
from protocols.modality import RNT, SUBSETS
from protocols.suites import resolve as resolve_protocols
from tests.data.trees import paint
from tests.support import FACTS, SIZE, SMALL, images, training_batch

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def example(first_line: str) -> dict[str, Any]:
    """Run the example that starts with a comment and return its names."""
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if block.startswith(first_line))
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, first_line, "exec"), names)
    return names


def test_every_example_is_tested_here() -> None:
    assert TEXT.count("```python\n") == 4


def test_the_method_trains_and_embeds_every_subset() -> None:
    method_class: type[Method] = example("# baselines/mean_token.py")["MeanToken"]
    name, model = method_class.card.name, method_class.card.options_model
    config = resolve(name, model, method_class.card.recipes, "msvr310", SIZE, "tiny", Overrides(flags=dict(SMALL)))
    method = method_class.build(config, FACTS)
    losses = method.training_losses(training_batch())
    assert torch.isfinite(losses["triplet"])
    vectors = method.eval().embed_all(images(2), torch.tensor([0, 1]), SUBSETS)
    assert len({vector.shape for vector in vectors.values()}) == 1
    for vector in vectors.values():
        torch.testing.assert_close(vector.norm(dim=1), torch.ones(2))


def test_the_dataset_reads_its_names() -> None:
    dataset: Dataset = example("# mdreid_bench/data/yard.py")["Yard"]()
    paths = [f"query/{sensor}/0007_c2_0001.jpg" for sensor in ("rgb", "nir", "tir")]
    scan = dataset.scan([*paths, "train/rgb/0008_c1_0001.jpg", "gallery/rgb/no.jpg"])
    item, *lone = scan.items
    assert (item.identity, item.camera, item.scene, item.roles) == (7, 1, 0, Role.QUERY)
    assert list(item.images.values()) == paths
    assert len(lone) == len(scan.missing) == 1
    assert len(scan.faults) == 3


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
