"""What MAN and the baselines of its task declare (docs/methods/man.md)."""

from typing import Any, Literal

from pydantic import Field

from baselines.man.pairing import common_sensors
from mdreid_bench.config.resolve import Recipes
from mdreid_bench.config.sources import Cited
from mdreid_bench.models.card import MethodCard, Options

Algorithm = Literal["lloyd", "minibatch", "faiss"]
Reduction = Literal["mean", "max", "sum"]
"""Of the pairs of sensors. The paper prints a maximum without saying over what."""
Weighting = Literal["softmax", "mean"]


class ThreeBranchOptions(Options):
    """Options of the three-branch network."""

    margin: float = Field(default=0.3, ge=0, description="margin of the triplet loss")


class FusionClusteringOptions(ThreeBranchOptions):
    """Options of clustering alone."""

    clusters: int = Field(
        default=50, gt=1, description="k, guessed identities of the unlabelled dataset; near their true number"
    )
    clustering: Algorithm = Field(
        default="lloyd", description="K-means: lloyd, minibatch for many items, or faiss where it is installed"
    )
    restarts: int = Field(default=1, gt=0, description="runs of K-means, of which the best is kept")
    pretrain_epochs: int = Field(
        default=0, ge=0, description="how many of schedule.epochs see the labelled dataset alone, before the others"
    )
    memory_weight: float = Field(
        default=1.0, ge=0, description="weight of the triplet loss against remembered features; 0 switches it off"
    )
    domain_norm: bool = Field(
        default=False, description="statistics of batch normalisation for each dataset by itself, as in DSBN"
    )


class MANOptions(FusionClusteringOptions):
    """Options of MAN."""

    cpa: bool = Field(default=True, description="align labels of all features and keep what they agree on")
    pda: bool = Field(default=True, description="align features of one dataset with prototypes of the other")
    mma: bool = Field(default=True, description="keep the centres of the sensors at a distance of margin_m")
    sigma: float = Field(default=0.4, ge=0, lt=1, description="items with a consistency above it are reliable")
    align_all: bool = Field(
        default=False, description="draw target batches from all items; PDA and MMA then see unreliable ones too"
    )
    pda_weight: float = Field(default=1.0, ge=0, description="alpha, weight of PDA")
    mma_weight: float = Field(default=0.8, ge=0, description="beta, weight of MMA")
    margin_p: float = Field(default=0.5, ge=0, description="discrepancy of different sensors that PDA aims at")
    margin_m: float = Field(default=0.5, ge=0, description="squared distance of different sensors that MMA aims at")
    reduction: Reduction = Field(default="mean", description="over pairs of sensors, in PDA and MMA")
    hinge: bool = Field(default=False, description="let a margin be an upper bound, not an aim")
    momentum: float = Field(default=0.99, ge=0, le=1, description="lambda, of the prototypes")
    weighting: Weighting = Field(default="softmax", description="of the items of a class in its prototype")
    literal_eq7: bool = Field(
        default=False,
        description="divide prototypes by the size of the class, as printed; else they have unit length",
    )


_SUITE = "this suite; the paper does not say"
_IDM = "IDM, on which the paper builds; the paper does not say"
_NETWORK = {
    "trunk": {"name": Cited("resnet50", "paper"), "pretrained": Cited("imagenet1k_v1", "paper: ImageNet")},
    "image": {"size": Cited([256, 128], "paper; for vehicles too")},
    "batch": {"size": Cited(32, "paper; taken as that of each dataset"), "instances": Cited(4, _IDM)},
    "optimizer": {
        "name": Cited("adam", "paper"),
        "lr": Cited(3.5e-4, "paper"),
        "trunk_lr": Cited(None, _IDM),
        "bias_factor": Cited(1.0, _IDM),
        "weight_decay": Cited(5.0e-4, _IDM),
    },
    "schedule": {
        "epochs": Cited(80, "this suite: 30 on the labelled dataset, and the 50 of IDM"),
        "noise": Cited(0.0, _IDM),
    },
}
_CLUSTERS = "it guesses identities from the features of all sensors of an item"
_STAND_IN: dict[str, Any] = {
    "trunk": {
        "name": Cited("mdreid-resnet-tiny", "this suite: a ResNet of one block a layer"),
        "pretrained": Cited("synthetic", "this suite: the weights shipped with the package, in place of ImageNet's"),
    },
    "image": {"size": Cited([64, 32], "this suite: a quarter of 256 x 128, as there are three trunks")},
    "optimizer": {"trunk_lr": Cited(3.5e-4, "the paper's rate")},
}
_MARGIN = {"margin": Cited(0.3, _IDM)}
_PUBLISHED = "number of training identities; the paper says that k is best near it"
_REAL = {
    "rgbnt201": 171,
    "rgbnt201-141-60": 141,
    "rgbnt100": 50,
    "msvr310": 155,
    "wmveid863": 603,
    "market1501-mm": 751,
}
_SYNTHETIC = {"rgbnt201": 96, "rgbnt100": 96, "msvr310": 96, "wmveid863": 40, "market1501-mm": 40}


def _recipes(options: dict[str, Any], *, guesses: bool) -> Recipes:
    """Return the settings of a method of this family, with k for each dataset where identities are guessed."""
    stages = {"paper": 30, "small": 6, "tiny": 2}
    found: dict[str, dict[str, Any]] = {}
    for preset, epochs in stages.items():
        common = options | ({"pretrain_epochs": Cited(epochs, _SUITE)} if guesses else {})
        found[preset] = {"*": (_NETWORK if preset == "paper" else _STAND_IN) | {"options": common}}
        for dataset, count in (_REAL if preset == "paper" else _SYNTHETIC).items() if guesses else ():
            found[preset][dataset] = {"options": {"clusters": Cited(count, _PUBLISHED)}}
    return found


def _card(name: str, title: str, summary: str, target: str, **more: Any) -> MethodCard:
    paper = "Multi-level alignment network for unsupervised domain adaptive multi-modality object re-identification"
    return MethodCard(
        name=name,
        title=title,
        paper=paper,
        venue="",
        url="",
        summary=summary,
        target=f"baselines.man.{target}",
        comparison=common_sensors,
        **more,
    )


THREE_BRANCH = _card(
    "three-branch",
    "Three branches",
    "a network for each sensor, trained on labels: source only, or upper bound, of MAN",
    "three_branch:ThreeBranch",
    options_model=ThreeBranchOptions,
    recipes=_recipes(_MARGIN, guesses=False),
    partial="terms of the sensors that are there; in the fused feature zeros stand in",
)
FUSION_CLUSTERING = _card(
    "fusion-clustering",
    "Clustering alone",
    "three branches that adapt to clusters of the fused feature; nothing is aligned",
    "fusion_clustering:FusionClustering",
    options_model=FusionClusteringOptions,
    recipes=_recipes(_MARGIN, guesses=True),
    adapts=True,
    needs_all=_CLUSTERS,
)
MAN = _card(
    "man",
    "MAN",
    "adapts to labels that all sensors agree on, with the distributions of datasets and sensors aligned",
    "method:MAN",
    options_model=MANOptions,
    recipes=_recipes(
        _MARGIN
        | {
            "pda_weight": Cited(1.0, "paper"),
            "mma_weight": Cited(0.8, "paper"),
            "margin_p": Cited(0.5, "paper"),
            "margin_m": Cited(0.5, "paper"),
            "momentum": Cited(0.99, "paper"),
            "sigma": Cited(0.4, "this suite: three of four labels agree; the paper does not say"),
        },
        guesses=True,
    ),
    adapts=True,
    needs_all=_CLUSTERS,
)
