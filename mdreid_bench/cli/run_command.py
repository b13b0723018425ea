"""``mdreid-bench run``: train or reuse, evaluate, store, print."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from mdreid_bench.cli.command import CALL, METHODS, OUTPUT, TRAINING, option
from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import METHOD_NAMES, ScoringOptions, TrainingOptions
from mdreid_bench.cli.values import parse_rate, reader


@dataclass(frozen=True, kw_only=True)
class RunOptions(ScoringOptions, TrainingOptions):
    """What ``run`` takes."""

    methods: Annotated[
        list[str], option(METHODS, "--method", f"{METHOD_NAMES} or all; may be repeated. Default: all.")
    ] = field(default_factory=list)
    weights: Annotated[
        Path | None,
        option(
            METHODS,
            "--weights",
            "Evaluate these weights instead of training: a file of this suite, or a released checkpoint.",
        ),
    ] = None
    missing: Annotated[
        list[float],
        option(
            TRAINING,
            "--missing",
            "Rate at which each training item loses each of its sensors, never all; may be repeated, for a curve. "
            "Short for --set data.missing=RATE; 0 is the usual training.",
            metavar="<list[float]>",
            parser=reader(parse_rate),
        ),
    ] = field(default_factory=list)
    shard: Annotated[
        str | None,
        option(
            OUTPUT,
            "--shard",
            "Part of the plan to carry out, such as 1/4: the first of four. Join the results with 'merge'.",
        ),
    ] = None


def run(options: RunOptions, context: typer.Context) -> int:
    """Train methods or reuse them, evaluate them, print the table.

    Every dataset x method x seed x protocol becomes one record below
    results/runs. Nothing is trained or extracted twice: another protocol on
    the same data takes a moment. What was interrupted goes on where it was,
    and several processes may share one results folder.

    Examples:

      mdreid-bench run --dataset msvr310 --protocol R-to-NT

      mdreid-bench run --dataset all --protocol all --data-root /data

      mdreid-bench run --dataset rgbnt201 --protocol ablation
      --method mdreid --set options.orthogonality_weight=0

      mdreid-bench run --dataset msvr310 --corrupt fog-3 --corrupt random

      mdreid-bench run --dataset rgbnt201 --missing 0 --missing 0.3
    """
    from mdreid_bench.cli.run_session import measure

    return measure(options, Console(), context.meta[CALL].command_line)
