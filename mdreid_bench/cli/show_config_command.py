"""``mdreid-bench show-config``: the complete configuration of one run, every value explained."""

from typing import Annotated

from mdreid_bench.cli.command import DATA, METHODS, TRAINING, option
from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import Assignments, ConfigFile
from mdreid_bench.cli.values import chosen_one


def show_config(
    method: Annotated[str, option(METHODS, "--method", "A method.")],
    dataset: Annotated[str, option(DATA, "--dataset", "A dataset.")],
    preset: Annotated[str, option(TRAINING, "--preset", "Recipe to start from.", default=True)] = "paper",
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
    chosen, card = methods.card(method), datasets.get(dataset).card
    overrides = Overrides(config, assignments)
    resolved = resolve(method, chosen.options_model, chosen.recipes, dataset, card.image_size, preset, overrides)
    console = Console()
    origin = origins(method, chosen.recipes, dataset, preset, overrides)
    for line in explained(resolved, chosen.options_model, origin):
        console.result(line)
