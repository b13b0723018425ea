"""Which precision is chosen, where it is written down, and that embeddings of one are never mixed with another's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdreid_bench.config.schema import PRECISIONS, Precision, RunConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.embedding import extract as extract_module
from mdreid_bench.embedding import parts as parts_module
from mdreid_bench.embedding.extract import extract
from mdreid_bench.embedding.stored import EmbeddingFolder
from mdreid_bench.models.method import Method
from mdreid_bench.processes import device as device_module
from mdreid_bench.processes.device import cpu_words, pick_precision
from mdreid_bench.progress import Silent
from protocols.modality import RNT, subsets
from tests.runs.test_execute import _execute, _runs
from tests.support import build
from tests.training.test_training import _method, _train, _with

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
WIDE = {"trunk": {"name": "ViT-B-16", "layers": 1, "pretrained": None}}


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    cpu_words.cache_clear()
    yield
    cpu_words.cache_clear()


def _describe_cpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None) -> None:
    """Let the system say this of its CPU, or nothing."""
    path = tmp_path / "cpuinfo"
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(device_module, "_CPU_FACTS", path)
    cpu_words.cache_clear()


@pytest.fixture(scope="module")
def wide() -> Method:
    return build("single-classifier", WIDE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flags\t\t: fpu avx512_bf16 avx2\n", "bf16"),
        ("flags\t\t: fpu amx_bf16 avx2\n", "bf16"),
        ("Features\t: fp asimd bf16\n", "bf16"),
        ("flags\t\t: fpu avx2 avx512f avx512_fp16\n", "fp32"),
        ("flags\t\t: fpu no_avx512_bf16x\n", "fp32"),
        ("", "fp32"),
        (None, "fp32"),
    ],
)
def test_auto_on_a_cpu_asks_for_instructions(
    wide: Method, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, expected: Precision
) -> None:
    _describe_cpu(monkeypatch, tmp_path, text)
    assert pick_precision("auto", CPU, wide.token_width) == expected


def test_auto_on_a_cpu_asks_for_a_wide_trunk(wide: Method, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _describe_cpu(monkeypatch, tmp_path, "flags : avx512_bf16")
    assert pick_precision("auto", CPU, build("mdreid").token_width) == "fp32"
    assert pick_precision("auto", CPU, build("random").token_width) == "fp32"
    assert pick_precision("auto", CPU, wide.token_width) == "bf16"


@pytest.mark.parametrize(("supported", "expected"), [(True, "bf16"), (False, "fp16")])
def test_auto_on_a_gpu_asks_the_gpu(supported: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: supported)
    assert pick_precision("auto", CUDA, build("random").token_width) == expected


@pytest.mark.parametrize("asked", PRECISIONS)
@pytest.mark.parametrize("device", [CPU, CUDA], ids=str)
def test_what_is_asked_for_is_done(asked: Precision, device: torch.device, wide: Method) -> None:
    assert pick_precision(asked, device, wide.token_width) == asked


def test_what_is_asked_for_is_part_of_the_run_key(
    planted: DatasetIndex, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key(*assignments: str) -> tuple[str, str, str]:
        run = _runs(planted, folder, assignments, methods=("mdreid",))[0]
        return run.training_key, run.run_key, run.config_key

    keys = [key(f"evaluation.precision={name}") for name in ("auto", *PRECISIONS)]
    assert len({training for training, _, _ in keys}) == 1
    assert len({run for _, run, _ in keys}) == len({config for _, _, config in keys}) == 4
    for chosen in (True, False):
        monkeypatch.setattr(device_module, "cpu_has_bf16", lambda chosen=chosen: chosen)
        assert key("evaluation.precision=auto") == keys[0]
    assert key("evaluation.compile=true") == key("memory.micro_batch=2") == key("memory.checkpointing=true") == key()
    assert key("precision=bf16")[0] != key()[0]


def test_records_say_in_which_precision(planted: DatasetIndex, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(precision: str, root: Path = folder) -> str:
        run = _runs(planted, root, (f"evaluation.precision={precision}",), methods=("clip-zero-shot",))[0]
        (record,) = _execute(run, "R-to-NT")
        assert run.embeddings.read_items().precision == record.precision
        return record.precision

    assert [measured(name) for name in PRECISIONS] == list(PRECISIONS)
    assert measured("auto") == "fp32"
    monkeypatch.setattr(device_module, "WIDE", 1)
    monkeypatch.setattr(device_module, "cpu_has_bf16", lambda: True)
    assert measured("auto") == "fp32"  # what is stored stays usable, and is what the record says
    assert measured("auto", folder / "fresh") == "bf16"


def _extracted(index: DatasetIndex, config: RunConfig, path: Path) -> dict[str, NDArray[np.float32]]:
    method = _method(index, config)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    found = EmbeddingFolder(path)
    extract(method, index, config, found, CPU, Silent())
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())
    return {str(subset): np.load(found.matrix(subset)) for subset in subsets(RNT)}


def _in(config: RunConfig, precision: Precision) -> RunConfig:
    return _with(config, evaluation={"precision": precision, "batch_size": 5})


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_extraction_in_half_precision(
    planted: DatasetIndex, config: RunConfig, tmp_path: Path, precision: Precision
) -> None:
    exact = _extracted(planted, _in(config, "fp32"), tmp_path / "fp32")
    near = _extracted(planted, _in(config, precision), tmp_path / "half")
    assert EmbeddingFolder(tmp_path / "half").read_items().precision == precision
    for subset, vectors in near.items():
        assert vectors.dtype == np.float32
        wanted = exact[subset]
        cosine = (vectors * wanted).sum(1) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(wanted, axis=1)
        assert cosine.min() >= 0.99
        assert not np.array_equal(vectors, wanted)


class _StopError(Exception):
    pass


class _Counting(extract_module.Embedder):
    """Counts the rows that are embedded, and stops after some."""

    rows = 0
    left = 10**9

    def __call__(self, images: Any, cameras: Tensor, *others: Any) -> Any:
        if _Counting.left <= 0:
            raise _StopError
        _Counting.left -= len(cameras)
        _Counting.rows += len(cameras)
        return super().__call__(images, cameras, *others)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_parts_of_another_precision_are_not_continued(
    planted: DatasetIndex, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: Precision
) -> None:
    whole = _extracted(planted, _in(config, precision), tmp_path / "whole")
    monkeypatch.setattr(extract_module, "Embedder", _Counting)
    monkeypatch.setattr(parts_module, "PART_SECONDS", 0.0)
    monkeypatch.setattr(_Counting, "left", 6)
    with pytest.raises(_StopError):
        _extracted(planted, _in(config, "fp32"), tmp_path / "parts")
    monkeypatch.setattr(_Counting, "left", 10**9)
    monkeypatch.setattr(_Counting, "rows", 0)
    found = _extracted(planted, _in(config, precision), tmp_path / "parts")
    assert _Counting.rows == len(planted.test) - (10 if precision == "fp32" else 0)
    assert all(np.array_equal(found[subset], whole[subset]) for subset in whole)


def test_training_logs_its_precision(planted: DatasetIndex, config: RunConfig, tmp_path: Path) -> None:
    short = _with(config, schedule={"epochs": 1})
    plain = _train(planted, short, tmp_path / "fp32")
    mixed = _train(planted, short.model_copy(update={"precision": "bf16"}), tmp_path / "bf16")
    assert plain != mixed
    for name in ("fp32", "bf16"):
        assert f'"precision": "{name}"' in next((tmp_path / name).rglob("log.jsonl")).read_text()
