"""``mdreid-bench convert``: a released checkpoint becomes a weights file that explains itself."""

from pathlib import Path

import pytest
import torch

from mdreid_bench.weights.load_method import load_method
from mdreid_bench.weights.weights_file import own_facts
from tests.cli.running import Outcome, environment, in_process
from tests.weights.checkpoints import random_state


def convert(*arguments: str | Path) -> Outcome:
    return in_process("convert", *map(str, arguments), env=environment())


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("released") / "best.pth"
    torch.save(random_state("mdreid", blocks=1, identities=50, cameras=8), path)
    return path


def test_the_file_says_what_it_is(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "own.safetensors"
    done = convert(checkpoint, out)
    assert (done.returncode, done.stdout) == (0, f"{out}\n")
    assert "50 identities, 8 cameras, 1 blocks, images 128x256" in done.stderr
    facts = own_facts(out)
    assert facts is not None
    assert (facts.method, facts.selection, facts.dataset) == ("mdreid", "best-test", None)
    assert facts.source.startswith("the released code of MDReID, SHA-256 ")
    assert load_method(out).config is not None


def test_a_dataset_decides_the_shape(checkpoint: Path, tmp_path: Path) -> None:
    """Unless the file counts identities and cameras as another one does, whose images have another shape."""
    out = tmp_path / "own.safetensors"
    refused = convert(checkpoint, out, "--dataset", "rgbnt201")
    assert (refused.returncode, "look like those of RGBNT100 (50 identities" in refused.stderr) == (2, True)
    torch.save(random_state("mdreid", blocks=1, identities=60, cameras=8), tmp_path / "more.pth")
    assert convert(tmp_path / "more.pth", out, "--dataset", "rgbnt201").returncode == 0
    facts = own_facts(out)
    assert facts is not None
    assert (facts.image.size, facts.dataset) == ((256, 128), "rgbnt201")


def test_what_cannot_be_converted_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    done = convert(checkpoint, tmp_path / "own.pth")
    assert (done.returncode, "something.safetensors" in done.stderr) == (2, True)
    (tmp_path / "there.safetensors").touch()
    done = convert(checkpoint, tmp_path / "there.safetensors")
    assert (done.returncode, "exists already" in done.stderr) == (2, True)
    torch.save(random_state("mdreid", blocks=1, cameras=3), tmp_path / "odd.pth")
    done = convert(tmp_path / "odd.pth", tmp_path / "own.safetensors")
    assert (done.returncode, "more than one shape" in done.stderr) == (2, True)
    done = convert(tmp_path / "no.pth", tmp_path / "own.safetensors")
    assert done.returncode == 3
    assert not (tmp_path / "own.safetensors").exists()


def test_own_weights_need_no_conversion(checkpoint: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.safetensors"
    convert(checkpoint, own)
    done = convert(own, tmp_path / "again.safetensors")
    assert (done.returncode, "already" in done.stderr) == (2, True)
