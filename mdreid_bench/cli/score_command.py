"""``mdreid-bench score``: any metric again, from the embeddings stored with a run."""

from typing import Annotated

import typer

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import DEFAULT_RESULTS, OUTPUT_PANEL, Limit, Protocols, Results
from mdreid_bench.cli.scoring_options import (
    DEFAULT_BUDGET,
    SCORING_PANEL,
    AveragePrecisionName,
    MemoryBudget,
    Mix,
    MixSeed,
    Scoring,
)


def score(
    run: Annotated[
        list[str],
        typer.Option(
            "--run",
            help="A run: the beginning of its key or of its folder's name; may be repeated.",
            rich_help_panel=SCORING_PANEL,
        ),
    ],
    protocol: Protocols,
    mix: Mix = None,
    mix_seed: MixSeed = None,
    average_precision: AveragePrecisionName = "standard",
    memory_budget: MemoryBudget = DEFAULT_BUDGET,
    limit: Limit = None,
    force: Annotated[
        bool, typer.Option("--force", help="Score again what is stored already.", rich_help_panel=OUTPUT_PANEL)
    ] = False,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Score runs again from their stored embeddings.

    Needs neither the model nor the images, which may be gone. Records that
    are there already are reused.

    Examples:

      mdreid-bench score --run msvr310-mdreid --protocol all

      mdreid-bench score --run 3f9c --protocol mixed --mix 0.3 --mix-seed 1

      mdreid-bench score --run 3f9c --protocol RNT-to-RNT
      --average-precision trapezoid
    """
    from mdreid_bench.cli.score_session import ScoreSession

    scoring = Scoring.parse(protocol, mix, mix_seed, average_precision, memory_budget)
    ScoreSession(results, tuple(run), limit, scoring, Console()).carry_out(force=force)
