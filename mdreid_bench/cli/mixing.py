"""The options of galleries whose items have different sensors: how these are drawn, and how scores are compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, get_args

from mdreid_bench.cli.command import SCORING, option
from mdreid_bench.cli.values import choice, count, number, reader, with_mix
from mdreid_bench.errors import UsageError
from mdreid_bench.results.schema import CalibrationKind

Calibrated = Annotated[
    CalibrationKind,
    choice(
        SCORING,
        "--calibration",
        "standardised makes scores of items with different sensors comparable, as mixed and pooled galleries need: "
        "without it more sensors score lower. Marked everywhere.",
        get_args(CalibrationKind),
        default=True,
    ),
]


@dataclass(frozen=True, kw_only=True)
class MixingOptions:
    """How the sensors of items are drawn, and what is made of scores so that these items can be compared."""

    mix: Annotated[
        float | None,
        option(
            SCORING,
            "--mix",
            "Chance of each sensor being present under --protocol mixed. Default: 0.5.",
            metavar="<float>",
            parser=reader(number("--mix")),
        ),
    ] = None
    mix_seed: Annotated[
        int | None, count(SCORING, "--mix-seed", "Number of the draw under --protocol mixed. Default: 0.")
    ] = None
    calibration: Calibrated = "none"

    def mixed(self, protocols: Sequence[str], others: Sequence[str]) -> list[str]:
        """Return the names of settings; --mix and --mix-seed become a part of them.

        ``others`` are flags that were given and do not go together with a calibration.

        Raises:
            UsageError: when --mix or --mix-seed goes with none of the settings, or a calibration with other options.
        """
        if others and self.calibration != "none":
            raise UsageError(f"--calibration {self.calibration} and {others[0]} do not go together; leave one out.")
        return with_mix(protocols, self.mix, self.mix_seed)
