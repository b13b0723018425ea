"""What the baselines of one file declare, without torch."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from mdreid_bench.config.resolve import Recipes
from mdreid_bench.config.sources import Cited
from mdreid_bench.models.card import GREY, MethodCard, Options
from mdreid_bench.models.mdreid.card import CLIP_SETTINGS

Missing = Literal["zero_image", "zero_feature"]

_NOT_STATED = "settings of MDReID; no source has any for the single classifier"
_SINGLE_OPTIONS = {
    "missing": Cited("zero_image", "released code of MDReID"),
    "identity_weight": Cited(0.25, "released code of MDReID; the paper has no such factor"),
}


def _borrowed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with a note that they are another method's."""
    return {
        key: Cited(value.value, _NOT_STATED) if isinstance(value, Cited) else _borrowed(value)
        for key, value in settings.items()
    }


SINGLE_CLASSIFIER_RECIPES: Recipes = {
    "paper": {"*": {"options": _SINGLE_OPTIONS}, **{name: _borrowed(s) for name, s in CLIP_SETTINGS.items()}},
    **{preset: {"*": {"options": _SINGLE_OPTIONS}} for preset in ("small", "tiny")},
}


class SingleClassifierOptions(Options):
    """Options of the single classifier."""

    missing: Missing = Field(default="zero_image", description="what stands in for a missing sensor")
    identity_weight: float = Field(default=0.25, ge=0, description="weight of the identity loss")


SINGLE_CLASSIFIER = MethodCard(
    name="single-classifier",
    title="Single classifier",
    paper="MDReID: Modality-Decoupled Learning for Any-to-Any Multi-Modal Object Re-Identification (ablation)",
    venue="NeurIPS 2025",
    url="https://arxiv.org/abs/2510.23301",
    summary="one trunk, one classifier over the concatenated class vectors, nothing decoupled",
    target="baselines.single_classifier:SingleClassifier",
    options_model=SingleClassifierOptions,
    recipes=SINGLE_CLASSIFIER_RECIPES,
    unpaired=True,
    partial=GREY,
    evaluation_options=frozenset({"missing"}),
)
CLIP_ZERO_SHOT = MethodCard(
    name="clip-zero-shot",
    title="Zero-shot trunk",
    paper="Learning Transferable Visual Models From Natural Language Supervision",
    venue="ICML 2021",
    url="https://arxiv.org/abs/2103.00020",
    summary="mean of the pretrained trunk's image embeddings; nothing is trained",
    trains=False,
    target="baselines.clip_zero_shot:CLIPZeroShot",
)
RANDOM = MethodCard(
    name="random",
    title="Random scorer",
    paper="none; a check",
    venue="none",
    url="",
    summary="a random direction for every item; scores at chance level",
    trains=False,
    ranked=False,
    target="baselines.random_scorer:RandomScorer",
    recipes={"paper": {"*": {"trunk": {"pretrained": None}}}},
)
