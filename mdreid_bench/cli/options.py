"""Options that several commands share, so that they read alike everywhere."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from protocols.names import UnknownNameError

DATA_PANEL = "Data"
METHOD_PANEL = "Methods"
TRAINING_PANEL = "Training"
OUTPUT_PANEL = "Output"
DEFAULT_PROTOCOLS = ["RNT-to-RNT"]
DEFAULT_RESULTS = Path("results")
ALL = "all"
"""Stands for every registered name."""

DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data-root",
        help="Folder that holds the datasets. Default: MDREID_DATA, else synthetic data, generated once.",
        rich_help_panel=DATA_PANEL,
        show_default=False,
    ),
]
Datasets = Annotated[
    list[str],
    typer.Option("--dataset", help="A dataset, or 'all'; may be repeated.", rich_help_panel=DATA_PANEL),
]
Results = Annotated[
    Path,
    typer.Option(
        "--results",
        envvar="MDREID_RESULTS",
        help="Folder of records, checkpoints and embeddings.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]
Protocols = Annotated[
    list[str],
    typer.Option(
        "--protocol",
        help="A protocol such as R-to-NT, a suite such as all or missing, or mixed; may be repeated.",
        rich_help_panel=DATA_PANEL,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        help="Use at most this many test triplets: whole identities, always the same. Marked everywhere.",
        rich_help_panel=DATA_PANEL,
        show_default=False,
        min=1,
    ),
]
Methods = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        help="A method; may be repeated. Default: all registered.",
        rich_help_panel=METHOD_PANEL,
        show_default=False,
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        help="Evaluate these weights instead of training: a file of this suite, or a released checkpoint.",
        rich_help_panel=METHOD_PANEL,
        show_default=False,
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        help="Recipe to start from. Default: paper on real data with CUDA, otherwise tiny.",
        rich_help_panel=TRAINING_PANEL,
        show_default=False,
    ),
]
Seeds = Annotated[
    list[int] | None,
    typer.Option(
        "--seed",
        help="Seed of the training; may be repeated. Default: the recipe's.",
        rich_help_panel=TRAINING_PANEL,
        show_default=False,
        min=0,
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        "--epochs", help="Short for --set schedule.epochs=N.", rich_help_panel=TRAINING_PANEL, show_default=False
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size", help="Short for --set batch.size=N.", rich_help_panel=TRAINING_PANEL, show_default=False
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.", rich_help_panel=TRAINING_PANEL)]
Precision = Annotated[
    str | None,
    typer.Option(
        "--precision",
        help="Of extraction: auto, fp32, bf16 or fp16. Default: the recipe's. Of training: --set precision=bf16.",
        rich_help_panel=TRAINING_PANEL,
        show_default=False,
    ),
]
Compile = Annotated[
    bool,
    typer.Option(
        "--compile",
        help="Compile the trunk for extraction; takes a while at first. EDITOR's is left as it is.",
        rich_help_panel=TRAINING_PANEL,
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", help="YAML file laid over the recipe.", rich_help_panel=TRAINING_PANEL, show_default=False
    ),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Set one configuration key, key=value; may be repeated and wins over --config.",
        rich_help_panel=TRAINING_PANEL,
        show_default=False,
    ),
]
Select = Annotated[
    str | None,
    typer.Option(
        "--select",
        help="Epoch to report: last-epoch, or best-test, which looks at the test data and is marked everywhere.",
        rich_help_panel=TRAINING_PANEL,
        show_default=False,
    ),
]
Shard = Annotated[
    str | None,
    typer.Option(
        "--shard",
        help="Part of the plan to carry out, such as 1/4: the first of four. Join the results with 'merge'.",
        rich_help_panel=OUTPUT_PANEL,
        show_default=False,
    ),
]
OnNanName = Annotated[
    str,
    typer.Option(
        "--on-nan",
        help="What training does with a batch whose loss or gradient is not finite: stop, or skip and count it.",
        rich_help_panel=TRAINING_PANEL,
    ),
]
KeepGoing = Annotated[
    bool,
    typer.Option(
        "--keep-going/--fail-fast",
        help="Finish the other cells when one fails, or stop at once.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be done and stop.", rich_help_panel=OUTPUT_PANEL)
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Write JSON instead of a table.", rich_help_panel=OUTPUT_PANEL),
]


def chosen(names: Iterable[str], valid: Sequence[str], kind: str) -> list[str]:
    """Return the valid names that were meant: in order of mention, each once; ``all`` stands for every one.

    Args:
        names: as typed, in any case.
        valid: the registered names.
        kind: what they name, for the error.

    Raises:
        UnknownNameError: for a name that is neither valid nor ``all``.
    """
    found: dict[str, None] = {}
    for name in names:
        folded = name.lower()
        if folded != ALL and folded not in valid:
            raise UnknownNameError(kind, name, [*valid, ALL])
        found.update(dict.fromkeys(valid if folded == ALL else [folded]))
    return list(found)
