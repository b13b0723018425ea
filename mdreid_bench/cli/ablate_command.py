"""``mdreid-bench ablate``: what each part of MDReID contributes."""

from dataclasses import dataclass, field
from typing import Annotated

import typer

from mdreid_bench.cli.command import CALL, option
from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import Datasets, TrainingOptions
from mdreid_bench.cli.values import choice
from mdreid_bench.models.mdreid.ablation import SWEEPS

STUDIES = "Studies"


@dataclass(frozen=True, kw_only=True)
class AblateOptions(TrainingOptions):
    """What ``ablate`` takes."""

    datasets: Datasets = field(default_factory=lambda: ["rgbnt201"])
    rows: Annotated[
        bool,
        option(
            STUDIES,
            "--rows/--no-rows",
            "The five rows of the ablation; --no-rows leaves the other studies alone.",
            default=True,
        ),
    ] = True
    sweeps: Annotated[
        list[str],
        choice(
            STUDIES, "--sweep", "Also vary a weight: w1 of ROL without KDL, or w2 of KDL; may be repeated.", [*SWEEPS]
        ),
    ] = field(default_factory=list)
    values: Annotated[
        str | None,
        option(STUDIES, "--values", "Values of the one --sweep, such as 0.5,1,2. Default: the paper's."),
    ] = None
    components: Annotated[
        bool,
        option(
            STUDIES,
            "--components",
            "Also compare by specific vectors alone, shared ones alone, and both.",
            default=True,
        ),
    ] = False


def ablate(options: AblateOptions, context: typer.Context) -> int:
    """Measure what each part of MDReID contributes.

    Five rows as in the paper: single classifier; MDL; MDL + ROL; MDL + KDL;
    all. Each is the same run as run --method with the same options, so what
    is measured already is reused. Shown are the six settings of the suite
    ablation and their mean; with several seeds, mean and standard deviation.

    Options given with --set options.NAME reach the rows whose method has
    that option.

    Examples:

      mdreid-bench ablate

      mdreid-bench ablate --seed 1 --seed 2 --seed 3 --components

      mdreid-bench ablate --no-rows --sweep w1 --values 0,1,1.5,2
    """
    from mdreid_bench.cli.ablate_session import measure_study

    return measure_study(options, Console(), context.meta[CALL].command_line)
