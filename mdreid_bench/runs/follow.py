"""What the processes do that do not lead: train and extract along, as the leader says, and write nothing."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import torch

from mdreid_bench.config.schema import Precision
from mdreid_bench.embedding.extract import extract_share
from mdreid_bench.errors import MdreidError
from mdreid_bench.processes.ranks import Ranks
from mdreid_bench.progress import Silent
from mdreid_bench.runs.plan import Run
from mdreid_bench.training.nonfinite import OnNan
from mdreid_bench.training.train import Trainer


@dataclass(frozen=True)
class Order:
    """What all processes do next.

    Attributes:
        work: what to do.
        run_key: of the run that it is done for.
        precision: to do it in; what ``auto`` chooses may differ between machines, and must not within a run.
    """

    work: Literal["train", "extract", "end"]
    run_key: str = ""
    precision: Precision = "fp32"


def follow(runs: Sequence[Run], ranks: Ranks, device: torch.device, on_nan: OnNan) -> int:
    """Do as the leader says until it says that all is done, and return the exit code.

    Whatever fails fails in all processes at the same place; the leader reports it and goes on.

    Args:
        runs: of the plan, which all processes make for themselves.
        ranks: with the place of this process.
        device: of this process.
        on_nan: as for the leader.
    """
    known = {run.run_key: run for run in runs}
    known |= {run.source.run_key: run.source for run in runs if run.source is not None}
    while (order := ranks.agree(Order("end"))).work != "end":
        with suppress(MdreidError):
            _obey(order, known[order.run_key], ranks, device, on_nan)
    return 0


def _obey(order: Order, run: Run, ranks: Ranks, device: torch.device, on_nan: OnNan) -> None:
    config, folder = run.config, run.training_folder
    if order.work == "train":
        config = config.model_copy(update={"precision": order.precision})
        trainer = ranks.together(
            lambda: Trainer(run.build(), run.index, config, folder, device, Silent(), on_nan, ranks)
        )
        trainer.run()
        return
    method = ranks.together(run.build)
    ranks.share_weights(method)
    evaluation = config.evaluation.model_copy(update={"precision": order.precision})
    extract_share(method, run.index, config.model_copy(update={"evaluation": evaluation}), device, ranks)
