"""The options on datasets that are trained on instead of the one that is tested with."""

from pathlib import Path
from typing import Annotated

from mdreid_bench.cli.command import DATA, TRAINING, option
from mdreid_bench.cli.values import choice

Sources = Annotated[
    list[str],
    option(
        DATA,
        "--source",
        "Another dataset to train on instead of --dataset; several are trained on as one. Marked everywhere.",
    ),
]
CheckedSources = Annotated[
    list[str],
    option(
        DATA, "--source", "Another dataset, which is to be trained on: look for its images here; may be repeated."
    ),
]
ReportedSources = Annotated[
    list[str],
    option(DATA, "--source", "Only what was trained on this dataset; may be repeated. Default: all."),
]
SourceRoot = Annotated[
    Path | None,
    option(DATA, "--source-root", "Folder that holds the sources. Default: that of the datasets."),
]
SourceCameras = Annotated[
    str | None,
    choice(
        TRAINING,
        "--source-cameras",
        "Camera vectors of images by cameras that were not trained on, with --source: mean of the trained ones, "
        "none, or off, in training too. Default: mean.",
        ("mean", "none", "off"),
    ),
]
