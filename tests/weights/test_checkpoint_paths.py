"""A path that safetensors cannot open is at fault itself, not the file behind it."""

import os
from pathlib import Path

import pytest
import torch

from mdreid_bench.errors import DataError
from mdreid_bench.weights import checkpoint
from mdreid_bench.weights.weights_file import recognise
from tests.cli.running import environment, in_process

ODD = os.fsdecode(b"\xff")


def test_a_path_that_is_not_utf8_is_named_and_not_the_file(tmp_path: Path) -> None:
    network, path = torch.nn.Linear(2, 2), tmp_path / ODD / "run" / "weights.safetensors"
    checkpoint.save_weights(path, network, {})
    with pytest.raises(DataError, match=r"The path of the checkpoint .* is not UTF-8; rename it\."):
        checkpoint.load_weights(path, network)
    with pytest.raises(DataError, match=r"The path of the weights file .* is not UTF-8; rename it\."):
        recognise(path)
    path.parent.parent.rename(tmp_path / "plain")
    checkpoint.load_weights(tmp_path / "plain" / "run" / "weights.safetensors", network)


def test_such_results_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    arguments = ("run", "--dataset", "msvr310", "--method", "random", "--results", str(tmp_path / ODD))
    done = in_process(*arguments, env=environment(MDREID_CACHE=str(tmp_path / "cache")))
    assert done.returncode == 2
    assert "is not UTF-8, as paths of weights must be; name another folder." in done.stderr
    assert not (tmp_path / "cache").exists()
