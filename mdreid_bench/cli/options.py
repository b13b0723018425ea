"""The options of the command line, each declared once, so that they read alike everywhere.

An option of a few commands is an alias. Commands that take many have one parameter for them, such as
``options: RunOptions``: a dataclass whose fields become the options (:mod:`mdreid_bench.cli.command`).
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, get_args

from mdreid_bench.cli.command import DATA, OUTPUT, SCORING, TRAINING, option, registered
from mdreid_bench.cli.corruption import CorruptionOptions
from mdreid_bench.cli.launch_options import LaunchOptions
from mdreid_bench.cli.mixing import MixingOptions
from mdreid_bench.cli.source_options import SourceCameras, SourceRoot, Sources
from mdreid_bench.cli.values import (
    choice,
    config_file,
    count,
    folder,
    parse_reranking,
    parse_seed,
    parse_size,
    reader,
)
from mdreid_bench.config import presets
from mdreid_bench.config.resolve import Overrides
from mdreid_bench.config.tree import Tree
from mdreid_bench.results.form import Form
from protocols.evaluation import AveragePrecision
from protocols.ranking import DEFAULT_MEMORY_BUDGET
from protocols.reranking import Reranking
from protocols.suites import SUITES

DEFAULT_RESULTS = Path("results")


DataRoot = Annotated[
    Path | None,
    option(
        DATA,
        "--data-root",
        "Folder that holds the datasets. Default: MDREID_DATA, else synthetic data, generated once.",
    ),
]
DATASETS, METHOD_NAMES, SUITE_NAMES = registered("datasets"), registered("methods"), ", ".join(SUITES)
PRESETS = ", ".join(presets.names())
Datasets = Annotated[list[str], option(DATA, "--dataset", f"{DATASETS} or all; may be repeated.", default=True)]
Dataset = Annotated[str, option(DATA, "--dataset", f"{DATASETS}.")]
Splits = Annotated[
    list[str],
    option(DATA, "--split", "Way to divide a dataset that has several, or 'all'; may be repeated. Default: first."),
]
Protocols = Annotated[
    list[str],
    option(
        DATA,
        "--protocol",
        f"A protocol such as R-to-NT, a suite ({SUITE_NAMES}), mixed or pooled; may be repeated. "
        "Default: the dataset's own, such as RNT-to-RNT.",
    ),
]
Limit = Annotated[
    int | None,
    count(
        DATA,
        "--limit",
        "Use at most this many test items: whole identities, always the same. Marked everywhere.",
        least=1,
    ),
]
AllowIncomplete = Annotated[
    bool,
    option(
        DATA,
        "--allow-incomplete",
        "Use items that lack images as they are; only complete ones are trained on. Marked everywhere.",
        default=True,
    ),
]
Camera = Annotated[
    int,
    count(
        DATA,
        "--camera",
        "Number of the camera that took the images, from 0, among those the method was trained with.",
        default=True,
    ),
]
Device = Annotated[
    str,
    choice(
        TRAINING,
        "--device",
        "Where to compute; auto takes CUDA where there is some.",
        ("auto", "cpu", "cuda"),
        default=True,
        meant={"gpu": "cuda"},
    ),
]
Probes = Annotated[
    int | None,
    count(OUTPUT, "--probes", "Lists that a query looks into in indexes with IVF. Default: FAISS's own, 1.", least=1),
]
ConfigFile = Annotated[
    Tree,
    option(
        TRAINING,
        "--config",
        "YAML file laid over the recipe; - reads it from standard input.",
        metavar="<path>",
        parser=reader(config_file),
    ),
]
Assignments = Annotated[
    list[str],
    option(TRAINING, "--set", "Set one configuration key, key=value; may be repeated and wins over --config."),
]
AveragePrecisionForm = Annotated[
    AveragePrecision,
    choice(
        SCORING,
        "--average-precision",
        "How mAP is computed; trapezoid as in older tables (Market-1501 MATLAB code).",
        get_args(AveragePrecision),
        default=True,
    ),
]
Rerank = Annotated[
    Reranking | None,
    option(
        SCORING,
        "--rerank",
        "Re-rank by k-reciprocal neighbours: k1,k2,lambda, such as 20,6,0.3. Never a default; marked everywhere.",
        metavar="<k1,k2,lambda>",
        parser=reader(parse_reranking),
    ),
]
MemoryBudget = Annotated[
    int,
    option(
        SCORING,
        "--memory-budget",
        "Memory for scores, such as 500MB or 2GiB; changes no number. Default: 1GiB.",
        metavar="<str>",
        parser=reader(parse_size),
    ),
]
AsJson = Annotated[bool, option(OUTPUT, "--json", "Write JSON instead of a table.", default=True)]
Results = Annotated[
    Path,
    folder(
        OUTPUT, "--results", "Folder of records, checkpoints and embeddings.", default=True, envvar="MDREID_RESULTS"
    ),
]


@dataclass(frozen=True, kw_only=True)
class ScoringOptions(MixingOptions, CorruptionOptions):
    """What is scored, and how."""

    protocols: Protocols = field(default_factory=list)
    average_precision: AveragePrecisionForm = "standard"
    rerank: Rerank = None
    memory_budget: MemoryBudget = DEFAULT_MEMORY_BUDGET
    limit: Limit = None
    as_json: AsJson = False
    results: Results = DEFAULT_RESULTS

    @property
    def form(self) -> Form:
        """How every protocol is measured on the images as they are."""
        return Form(self.average_precision, self.rerank, calibration=self.calibration)

    def settings(self) -> list[str]:
        """Return the names of the settings; --mix and --mix-seed are part of a name.

        Raises:
            UsageError: when these two go with none of them, or other options do not go together.
        """
        others = (("--rerank", self.rerank is not None), ("--corrupt", bool(self.corruptions)))
        return self.mixed(self.protocols, [flag for flag, given in others if given])


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(LaunchOptions):
    """What is trained, on what, and how."""

    datasets: Datasets
    splits: Splits = field(default_factory=list)
    data_root: DataRoot = None
    sources: Sources = field(default_factory=list)
    source_root: SourceRoot = None
    source_cameras: SourceCameras = None
    allow_incomplete: AllowIncomplete = False
    limit: Limit = None
    preset: Annotated[
        str | None,
        option(
            TRAINING,
            "--preset",
            f"Recipe to start from: {PRESETS}. Default: paper on real data with CUDA, otherwise tiny.",
        ),
    ] = None
    seeds: Annotated[
        list[int],
        option(
            TRAINING,
            "--seed",
            "Seed of the training; may be repeated. Default: the recipe's.",
            metavar="<list[int]>",
            parser=reader(parse_seed),
        ),
    ] = field(default_factory=list)
    init: Annotated[
        Path | None,
        option(
            TRAINING,
            "--init",
            "Start training from these weights of the same method, ours or released; what does not fit is new.",
        ),
    ] = None
    epochs: Annotated[int | None, count(TRAINING, "--epochs", "Short for --set schedule.epochs=N.", least=1)] = None
    batch_size: Annotated[int | None, count(TRAINING, "--batch-size", "Short for --set batch.size=N.", least=1)] = (
        None
    )
    device: Device = "auto"
    precision: Annotated[
        str | None,
        choice(
            TRAINING,
            "--precision",
            "Of extraction. Default: the recipe's. Of training: --set precision=bf16.",
            ("auto", "fp32", "bf16", "fp16"),
        ),
    ] = None
    compile: Annotated[
        bool, option(TRAINING, "--compile", "Compile the trunk for extraction; takes a while at first.", default=True)
    ] = False
    select: Annotated[
        str | None,
        choice(
            TRAINING,
            "--select",
            "Epoch to report; best-test looks at the test data and is marked everywhere. Default: last-epoch.",
            ("last-epoch", "best-test"),
        ),
    ] = None
    config: ConfigFile = field(default_factory=dict)
    assignments: Assignments = field(default_factory=list)
    on_nan: Annotated[
        Literal["stop", "skip"],
        choice(
            TRAINING,
            "--on-nan",
            "What training does with a batch whose loss or gradient is not finite; skip counts it.",
            ("stop", "skip"),
            default=True,
        ),
    ] = "stop"
    dry_run: Annotated[bool, option(OUTPUT, "--dry-run", "Show what would be done and stop.", default=True)] = False
    tensorboard: Annotated[
        bool, option(OUTPUT, "--tensorboard", "Write losses and rates as events of TensorBoard too.", default=True)
    ] = False
    keep_going: Annotated[
        bool,
        option(
            OUTPUT,
            "--keep-going/--fail-fast",
            "Finish the other cells when one fails, or stop at once.",
            default=True,
        ),
    ] = True
    results: Results = DEFAULT_RESULTS

    def overrides(self) -> Overrides:
        """Return what the user set of the configuration."""
        flags: Tree = {} if self.init is None else {"init": str(self.init)}
        if self.epochs is not None:
            flags["schedule"] = {"epochs": self.epochs}
        if self.batch_size is not None:
            flags["batch"] = {"size": self.batch_size}
        if self.precision is not None:
            flags["evaluation"] = {"precision": self.precision}
        if self.compile:
            flags["evaluation"] = flags.get("evaluation", {}) | {"compile": True}
        if self.select is not None:
            flags["selection"] = self.select
        if self.source_cameras is not None:
            flags["source_cameras"] = self.source_cameras
        return Overrides(self.config, self.assignments, flags)
