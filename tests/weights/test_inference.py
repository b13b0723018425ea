"""Weights and images in use from Python."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import mdreid_bench
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.models.method import Method
from mdreid_bench.weights import checkpoint
from mdreid_bench.weights.weights_header import WeightsHeader
from protocols.modality import RNT, R, subsets
from protocols.names import UnknownNameError
from tests.support import FACTS, build, images, small_config
from tests.weights.checkpoints import random_state


def write(path: Path, name: str = "mdreid", changes: Mapping[str, object] | None = None) -> Method:
    """Write the weights of a small method as training does."""
    method, config = build(name, seed=4), small_config(name)
    told = {"selection": "last-epoch", "epoch": 2, "dataset": "msvr310", "synthetic": True}
    header = WeightsHeader.of(method, config, FACTS, **told)
    checkpoint.save_weights(path, method, header.header() | dict(changes or {}))
    return method.eval()


@pytest.fixture
def photographs(tmp_path: Path) -> dict[str, Path]:
    """Three image files of one object."""
    generator = np.random.default_rng(0)
    files = {}
    for sensor in "RNT":
        files[sensor] = tmp_path / f"{sensor}.jpg"
        Image.fromarray(generator.integers(0, 256, (60, 40, 3), dtype=np.uint8)).save(files[sensor])
    return files


@pytest.mark.parametrize("name", ["mdreid", "single-classifier", "top-reid", "editor", "mfrnet", "demo"])
def test_three_image_files_become_an_embedding(tmp_path: Path, photographs: dict[str, Path], name: str) -> None:
    source = write(tmp_path / "weights.safetensors", name)
    method = mdreid_bench.load_method(tmp_path / "weights.safetensors")
    pictures = mdreid_bench.read_images(method, photographs)
    encoded = method.encode(pictures, camera=torch.tensor([0]))
    wanted = source.embed_all(pictures, torch.tensor([0]), subsets(RNT))
    for subset in subsets(RNT):
        vector = method.embed(encoded, subset)
        assert vector.shape[0] == 1
        assert torch.allclose(vector, wanted[subset], atol=1e-6)
    assert not any(parameter.requires_grad for parameter in method.parameters())


def test_the_example_of_the_documentation_works(
    tmp_path: Path, photographs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(random_state("mdreid", blocks=1), "MDReID_RGBNT201.pth")
    for sensor, name in zip("RNT", ("rgb", "nir", "tir"), strict=True):
        photographs[sensor].rename(f"{name}.jpg")
    text = (Path(__file__).parents[2] / "docs" / "fidelity.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(example, "docs/fidelity.md", "exec"), names)
    assert names["vector"].shape == (1, 4 * 512)


def test_images_are_read_as_for_testing(tmp_path: Path, photographs: dict[str, Path]) -> None:
    write(tmp_path / "weights.safetensors")
    method = mdreid_bench.load_method(tmp_path / "weights.safetensors")
    image = mdreid_bench.read_images(method, {R: photographs["R"]})[R]
    by_hand = Image.open(photographs["R"]).convert("RGB").resize((48, 32), Image.Resampling.BILINEAR)
    wanted = torch.from_numpy(np.asarray(by_hand).transpose(2, 0, 1) / 255.0)
    assert torch.allclose(image[0].double(), (wanted - 0.5) / 0.5, atol=1e-6)


def test_options_of_the_evaluation_can_be_chosen_and_others_not(tmp_path: Path) -> None:
    write(tmp_path / "w.safetensors")
    method = mdreid_bench.load_method(tmp_path / "w.safetensors", options={"similarity": "released"})
    assert method.config is not None
    assert method.config.options["similarity"] == "released"
    with pytest.raises(UsageError, match=r"options\.shared_weight=3\.0, which cannot be set to 1"):
        mdreid_bench.load_method(tmp_path / "w.safetensors", options={"shared_weight": 1})
    with pytest.raises(UnknownNameError, match="similarity"):
        mdreid_bench.load_method(tmp_path / "w.safetensors", options={"simlarity": "paper"})


def test_misuse_is_told(tmp_path: Path, photographs: dict[str, Path]) -> None:
    write(tmp_path / "w.safetensors")
    method = mdreid_bench.load_method(tmp_path / "w.safetensors")
    with pytest.raises(UsageError, match="load_method"):
        mdreid_bench.read_images(build("mdreid"), photographs)
    with pytest.raises(UnknownNameError, match="'X'"):
        mdreid_bench.read_images(method, {"X": photographs["R"]})
    photographs["R"].write_bytes(b"no image")
    with pytest.raises(DataError, match=r"R\.jpg cannot be used"):
        mdreid_bench.read_images(method, photographs)
    torch.save(random_state("mdreid", blocks=1, cameras=3), tmp_path / "odd.pth")
    with pytest.raises(UsageError, match="more than one shape"):
        mdreid_bench.load_method(tmp_path / "odd.pth")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 99}, "written for version 99 of mdreid"),
        ({"identities": 0}, "cannot be read"),
        ({"options": {"newer": 1}}, "options that the installed mdreid does not know"),
    ],
)
def test_descriptions_that_do_not_hold_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    write(tmp_path / "w.safetensors", changes=change)
    with pytest.raises(DataError, match=message):
        mdreid_bench.load_method(tmp_path / "w.safetensors")


def test_weights_that_are_not_those_described_are_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path / "w.safetensors", changes={"identities": 6})
    with pytest.raises(DataError, match=r"misshapen: shared_head\.classifier\.weight is 5x384 instead of 6x384"):
        mdreid_bench.load_method(tmp_path / "w.safetensors")


def test_a_dataset_that_contradicts_the_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "w.safetensors")
    mdreid_bench.load_method(tmp_path / "w.safetensors", dataset="msvr310")
    with pytest.raises(UsageError, match="were trained on msvr310, not on rgbnt201; leave it out"):
        mdreid_bench.load_method(tmp_path / "w.safetensors", dataset="rgbnt201")
    torch.save(random_state("mdreid", blocks=1, identities=155, cameras=8), tmp_path / "msvr.pth")
    with pytest.raises(
        UsageError, match=r"like those of MSVR310 \(155 identities, 8 cameras, images 128x256\), not of"
    ):
        mdreid_bench.load_method(tmp_path / "msvr.pth", dataset="rgbnt201")
    method = mdreid_bench.load_method(tmp_path / "msvr.pth", dataset="rgbnt201", image_size=(128, 256))
    assert method.config is not None
    assert method.config.image_size == (128, 256)


@pytest.mark.parametrize("name", ["mdreid", "single-classifier", "editor", "top-reid", "mfrnet", "demo"])
@pytest.mark.parametrize("loaded_inside", [True, False])
def test_loading_in_inference_mode_changes_nothing(tmp_path: Path, name: str, loaded_inside: bool) -> None:
    source = write(tmp_path / "w.safetensors", name)
    camera = torch.tensor([0, 2])
    wanted = source.embed_all(images(2), camera, subsets(RNT))
    with torch.inference_mode():
        method = mdreid_bench.load_method(tmp_path / "w.safetensors") if loaded_inside else build(name, seed=4).eval()
        found = method.embed_all(images(2), camera, subsets(RNT))
    assert all(torch.allclose(found[subset], wanted[subset], atol=1e-6) for subset in subsets(RNT))
    if loaded_inside:
        assert not any(parameter.is_inference() for parameter in method.parameters())


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import sys, mdreid_bench; print('torch' in sys.modules, hasattr(mdreid_bench, 'nothing'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
