"""``mdreid-bench show-config``: the complete configuration of one run, every value explained."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

from mdreid_bench.cli.command import METHODS, TRAINING, option
from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import METHOD_NAMES, PRESETS, Assignments, ConfigFile, DataRoot, Dataset
from mdreid_bench.cli.values import chosen_one
from mdreid_bench.errors import DataError


def show_config(
    method: Annotated[str, option(METHODS, "--method", f"{METHOD_NAMES}.")],
    dataset: Dataset,
    data_root: DataRoot = None,
    preset: Annotated[
        str | None,
        option(TRAINING, "--preset", f"Recipe to start from: {PRESETS}. Default: the one that 'run' would choose."),
    ] = None,
    config: ConfigFile = {},  # noqa: B006 - typer copies it
    assignments: Assignments = [],  # noqa: B006
) -> None:
    """Print the complete configuration of a run as YAML, with what each value is for and where it comes from.

    The output can be edited and given to --config.

    Examples:

      mdreid-bench show-config --method mdreid --dataset rgbnt100

      mdreid-bench show-config --method mdreid --dataset msvr310
      --preset tiny --set schedule.epochs=3
    """
    from mdreid_bench.config.explain import explained, origins
    from mdreid_bench.config.resolve import Overrides, resolve
    from mdreid_bench.data import registry as datasets
    from mdreid_bench.models import registry as methods

    method = chosen_one(method, methods.names(), "method")
    dataset = chosen_one(dataset, datasets.names(), "dataset")
    preset = preset or _usual(dataset, data_root)
    chosen, card = methods.card(method), datasets.get(dataset).card
    overrides = Overrides(config, assignments)
    resolved = resolve(method, chosen.options_model, chosen.recipes, dataset, card.image_size, preset, overrides)
    console = Console()
    origin = origins(method, chosen.recipes, dataset, preset, overrides)
    for line in explained(resolved, chosen.options_model, origin):
        console.result(line)


def _usual(dataset: str, data_root: Path | None) -> str:
    """Return the preset that ``run`` would choose: the full one needs real data and a GPU."""
    from mdreid_bench.config import presets
    from mdreid_bench.data import registry
    from mdreid_bench.data.files import dataset_folder
    from mdreid_bench.data.location import given_root
    from mdreid_bench.data.marker import read_marker

    if (root := given_root(data_root)) is None:
        return presets.SMALLEST
    with suppress(DataError):  # images that are not there may be real
        if read_marker(dataset_folder(registry.get(dataset), root)) is not None:
            return presets.SMALLEST
    from mdreid_bench.processes.kind import device_kind

    return presets.usual(synthetic=False, cuda=device_kind("auto") == "cuda")
