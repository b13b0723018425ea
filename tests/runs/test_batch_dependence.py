"""Features that depend on the other items of a batch are declared, named in every record, and kept to that batch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mdreid_bench.config.resolve import Overrides
from mdreid_bench.config.schema import MemoryConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.embedding.extract import Embedder
from mdreid_bench.embedding.vectors import check_contract
from mdreid_bench.errors import MdreidError, UsageError
from mdreid_bench.models import registry
from mdreid_bench.processes.ranks import ALONE
from mdreid_bench.progress import Silent
from mdreid_bench.report.run_table import run_tables
from mdreid_bench.results.store import Store
from mdreid_bench.runs.execute import Means, execute
from mdreid_bench.runs.plan import Request, plan_cells, plan_runs
from mdreid_bench.runs.run import Run
from mdreid_bench.training.forward import Forward
from protocols.modality import RNT
from protocols.suites import resolve
from tests.support import SIZE, SMALL, build, small_config

CPU = torch.device("cpu")
LIMITED = ("options.capacity=1.0", "trunk.layers=2")
FLAGS: dict[str, Any] = {**SMALL, "batch": {"size": 4, "instances": 2}, "schedule": {"epochs": 1, "warmup": 0}}


def planned(index: DatasetIndex, root: Path, *assignments: str) -> Run:
    overrides = Overrides(assignments=assignments, flags=FLAGS)
    (run,) = plan_runs(Request(("mfrnet",), "tiny", (), overrides), [index], Store(root))
    return run


def test_every_record_names_the_batch_and_the_key_follows_it(planted: DatasetIndex, folder: Path) -> None:
    run = planned(planted, folder, *LIMITED, "evaluation.batch_size=7")
    (outcome,) = execute([(run, plan_cells(run, resolve(("R-to-NT",))))], Means(CPU, Silent()))
    assert outcome.record is not None
    assert outcome.record.feature_batch == 7
    (table,) = run_tables([outcome.record])
    assert table.rows[0][0] == "MFRNet (features depend on the test batch of 7)"
    other = planned(planted, folder, *LIMITED, "evaluation.batch_size=8")
    assert other.training_key == run.training_key
    assert other.run_key != run.run_key


def test_otherwise_the_batch_is_named_nowhere_and_changes_no_key(planted: DatasetIndex, folder: Path) -> None:
    usual, other = (planned(planted, folder, f"evaluation.batch_size={size}") for size in (7, 8))
    assert usual.feature_batch is None
    assert usual.run_key == other.run_key


def test_every_other_method_declares_nothing() -> None:
    for name, card in registry.cards().items():
        assert not card.batch_dependent(small_config(name).options), name


def test_a_batch_that_counts_is_not_taken_apart() -> None:
    limited = {"options": {"capacity": 1.0}}
    method, config = build("mfrnet", limited), small_config("mfrnet", limited)
    with pytest.raises(
        UsageError, match=r"mfrnet cannot take a batch apart, so it trains without memory\.micro_batch"
    ):
        Forward(method, config.model_copy(update={"memory": MemoryConfig(micro_batch=2)}), "fp32", ALONE)

    def cramped(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    method.embed_all = cramped  # type: ignore[method-assign, assignment]
    pixels = {m: torch.zeros(4, 3, *SIZE, dtype=torch.uint8) for m in RNT}
    with pytest.raises(MdreidError, match=r"of mfrnet depend on the batch.* set a smaller evaluation\.batch_size"):
        Embedder(method, CPU, config, Silent())(
            pixels, torch.zeros(4, dtype=torch.long), np.array(["a", "b", "c", "d"]), (RNT,)
        )


def test_a_declared_dependence_passes_the_check_of_plug_ins() -> None:
    method = build("mfrnet", {"options": {"capacity": 1.0, "independent_experts": False}})
    with pytest.raises(UsageError, match="another vector beside another item"):
        check_contract(method, RNT, SIZE)
    check_contract(method, RNT, SIZE, batch_dependent=True)
