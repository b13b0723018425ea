"""Same seed, machine and number of threads: the same bytes, whichever process trains, however many workers load."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.results.record_file import decode
from protocols.modality import RNT, subsets
from tests.cli.running import environment, in_process, mdreid_bench
from tests.data.trees import plant
from tests.training.test_training import _train, _with

ARGUMENTS = (
    "run", "--dataset", "msvr310", "--method", "mdreid", "--protocol", "R-to-NT", "--device", "cpu",
    "--preset", "tiny", "--epochs", "2", "--batch-size", "4", "--set", "batch.instances=2",
    "--set", "image.size=[32, 48]", "--set", "trunk.pretrained=null", "--set", "trunk.layers=2",
)  # fmt: skip


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As many threads as a process has that is started with OMP_NUM_THREADS=1."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_two_processes_write_the_same_bytes(tmp_path: Path, one_thread: None) -> None:
    plant(tmp_path / "data", "msvr310")
    own = environment(MDREID_CACHE=str(tmp_path / "cache"), OMP_NUM_THREADS="1")
    for results, call in (("first", mdreid_bench), ("second", in_process)):
        done = call(*ARGUMENTS, "--data-root", str(tmp_path / "data"), "--results", str(tmp_path / results), env=own)
        assert done.returncode == 0, done.stderr
    files = ["trained/*/weights.safetensors", *(f"runs/*/full/embeddings/{subset}.npy" for subset in subsets(RNT))]
    for pattern in files:
        first, second = (next((tmp_path / results).glob(pattern)) for results in ("first", "second"))
        assert first.relative_to(tmp_path / "first") == second.relative_to(tmp_path / "second")
        assert first.read_bytes() == second.read_bytes()
    one, other = (
        decode(next((tmp_path / r).glob("runs/*/full/R-to-NT.json")).read_bytes()) for r in ("first", "second")
    )
    assert one.model_copy(update={"provenance": other.provenance}) == other
    assert one.provenance.threads == other.provenance.threads == {"train": 1, "extract": 1}


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_workers_change_nothing(planted: DatasetIndex, config: RunConfig, tmp_path: Path, workers: int) -> None:
    short = _with(config, schedule={"epochs": 2})
    alone = _train(planted, _with(short, data={"workers": 0}), tmp_path / "alone")
    assert _train(planted, _with(short, data={"workers": workers}), tmp_path / "helped") == alone
