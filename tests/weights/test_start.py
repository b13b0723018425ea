"""Training from given weights: what fits is taken, what does not is new and said, and the file is part of the key."""

import shutil
from pathlib import Path

import pytest
import torch

from mdreid_bench.config.resolve import Overrides
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.results.store import Store
from mdreid_bench.runs.plan import Request, plan_cells, plan_runs
from mdreid_bench.runs.preflight import notes
from mdreid_bench.runs.run import Run
from mdreid_bench.weights import checkpoint, weights_file
from mdreid_bench.weights.weights_header import WeightsHeader
from protocols.suites import resolve
from tests.cli.running import environment, in_process
from tests.runs.test_execute import _execute
from tests.support import FACTS, FLAGS, build, small_config
from tests.weights.checkpoints import random_state


def own(path: Path) -> Path:
    """Write weights of another dataset: five identities, three cameras."""
    method, config = build("mdreid", seed=4), small_config("mdreid")
    checkpoint.save_weights(path, method, WeightsHeader.of(method, config, FACTS, selection="last-epoch").header())
    return path


def planned(index: DatasetIndex, file: Path, root: Path, *assignments: str, method: str = "mdreid") -> Run:
    overrides = Overrides(assignments=assignments, flags={**FLAGS, "init": str(file)})
    (run,) = plan_runs(Request([method], "tiny", (), overrides), [index], Store(root))
    return run


def test_the_trunk_is_taken_and_parts_of_another_size_are_new(planted: DatasetIndex, tmp_path: Path) -> None:
    run = planned(planted, own(tmp_path / "w.safetensors"), tmp_path, "options.shared_weight=1")
    assert run.config.options["shared_weight"] == 1
    method, source = run.build(), build("mdreid", seed=4).state_dict()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    text = weights_file.start(tmp_path / "w.safetensors", method, run.config)
    new = {name for name, value in method.state_dict().items() if value.shape != source[name].shape}
    assert new == {"trunk.camera"} | {
        f"{head}.classifier.weight" for head in ("shared_head", *(f"specific_heads.{m}" for m in "RNT"))
    }
    named = ", ".join(sorted(name.removesuffix(".weight") for name in new))
    assert text == f"Training starts from {tmp_path / 'w.safetensors'}; new: {named}."
    for name, value in method.state_dict().items():
        assert torch.equal(value, before[name] if name in new else source[name])


def test_a_released_checkpoint_without_heads_gives_its_trunk_alone(tmp_path: Path) -> None:
    state = {n: v for n, v in random_state("mdreid", blocks=1).items() if n.startswith("BACKBONE.")}
    path = tmp_path / "w.pth"
    torch.save(state, path)
    config = small_config(
        "mdreid", {"trunk": {"name": "ViT-B-16-quickgelu", "layers": 1}, "image": {"size": [256, 128]}}
    )
    method = build("mdreid", config.model_dump(include={"trunk": True, "image": True}))
    before = {name: value.clone() for name, value in method.state_dict().items()}
    assert "shared_head.classifier, shared_head.norm, " in weights_file.start(path, method, config)
    assert torch.equal(method.state_dict()["trunk.projection"], state["BACKBONE.base.proj"])
    heads = [name for name in before if "head" in name]
    assert heads
    assert all(torch.equal(method.state_dict()[name], before[name]) for name in heads)


def test_the_trunk_must_be_whole(tmp_path: Path) -> None:
    own(tmp_path / "w.safetensors")
    method = build("mdreid", {"image": {"size": [48, 48]}})
    with pytest.raises(DataError, match=r"do not fit the trunk of mdreid: trunk\.position\.$"):
        weights_file.start(tmp_path / "w.safetensors", method, small_config("mdreid"))


def test_the_record_names_the_file_and_its_content_is_part_of_the_key(planted: DatasetIndex, tmp_path: Path) -> None:
    file = own(tmp_path / "w.safetensors")
    run = planned(planted, file, tmp_path)
    assert f"Weights: {file}, from this suite." in notes([(run, plan_cells(run, resolve(["R-to-R"])))])
    (record,) = _execute(run, "R-to-R")
    assert record.config_overrides["init"] == str(file)
    assert record.trunk == "mdreid-tiny/w.safetensors"
    assert "Training starts from" in run.store.folder(run.id).log.read_text(encoding="utf-8")
    copy = Path(shutil.copy(file, tmp_path / "copy.safetensors"))
    assert planned(planted, copy, tmp_path).training_key == run.training_key
    (plain,) = plan_runs(Request(["mdreid"], "tiny", (), Overrides(flags=FLAGS)), [planted], Store(tmp_path))
    assert plain.training_key != run.training_key


def test_a_start_that_contradicts_itself_is_refused(planted: DatasetIndex, tmp_path: Path) -> None:
    file = own(tmp_path / "w.safetensors")
    with pytest.raises(UsageError, match="are of mdreid, not of single-classifier"):
        planned(planted, file, tmp_path, method="single-classifier")
    with pytest.raises(UsageError, match=r"image\.mean=0\.5, which cannot be set to 0\.4"):
        planned(planted, file, tmp_path, "image.mean=0.4")
    done = in_process("run", "--dataset", "msvr310", "--init", str(file), "--weights", str(file), env=environment())
    assert (done.returncode, "give one of them" in done.stderr) == (2, True)
    done = in_process("run", "--dataset", "msvr310", "--init", str(file), "--method", "editor", env=environment())
    assert (done.returncode, "holds weights of mdreid, not of editor" in done.stderr) == (2, True)
