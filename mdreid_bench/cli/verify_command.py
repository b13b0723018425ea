"""``mdreid-bench verify``: given weights against the figures that were published for them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from mdreid_bench.cli.command import METHODS, option
from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import DEFAULT_RESULTS, AllowIncomplete, Assignments, DataRoot, Dataset, Device, Results
from mdreid_bench.cli.values import choice


@dataclass(frozen=True, kw_only=True)
class VerifyOptions:
    """What ``verify`` takes."""

    dataset: Dataset
    weights: Annotated[Path, option(METHODS, "--weights", "Released checkpoint, or a file of this suite.")]
    data_root: DataRoot = None
    allow_incomplete: AllowIncomplete = False
    similarity: Annotated[
        str | None,
        choice(
            METHODS,
            "--similarity",
            "How MDReID compares. Default: released, behind the published figures.",
            ("released", "paper"),
        ),
    ] = None
    device: Device = "auto"
    assignments: Assignments = field(default_factory=list)
    results: Results = DEFAULT_RESULTS


def verify(options: VerifyOptions) -> int:
    """Evaluate weights on every protocol with published figures and compare.

    Prints published value, measured value, difference and verdict for each
    figure. The exit code is 0 only when all agree within 0.1.

    Examples:

      mdreid-bench verify --data-root /data --dataset rgbnt201
      --weights MDReID_RGBNT201.pth
    """
    from mdreid_bench.cli.verify_session import verify_weights

    return verify_weights(options, Console())
