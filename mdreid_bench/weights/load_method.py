"""Weights in use from Python: a file becomes a method, image files become its input."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from mdreid_bench.config.resolve import Overrides, resolve
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.config.tree import Tree, merge
from mdreid_bench.data import registry as datasets
from mdreid_bench.data.card import DatasetCard
from mdreid_bench.data.images import BadImageError, load_rgb
from mdreid_bench.data.transforms import normalise, resize
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.models import registry
from mdreid_bench.models.method import Method
from mdreid_bench.weights import weights_file
from mdreid_bench.weights.given_weights import GivenWeights, resolve_for
from protocols.modality import Modality

PRESET = "paper"
_NO_DATASET = "other"
Sensor = TypeVar("Sensor", str, Modality)


@torch.inference_mode(False)
def load_method(
    weights: str | os.PathLike[str],
    *,
    dataset: str | None = None,
    image_size: tuple[int, int] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Method:
    """Build the method that a weights file belongs to, on the CPU, in evaluation mode, without gradients.

    Files of this suite describe themselves. A released checkpoint says how many patches an image has but not
    whether it stands or lies; without ``dataset`` and ``image_size`` that is taken from the dataset that has its
    number of cameras.

    Args:
        weights: a file of this suite, or a released checkpoint.
        dataset: registered name of the dataset that it was trained on, where a file does not say so.
        image_size: (height, width) in pixels, instead.
        options: of the method, such as ``{"similarity": "released"}``; those that the weights fix cannot be set.

    Returns:
        The method; ``encode`` and ``embed`` are its use, and ``config`` is what it was built with.

    Raises:
        UnknownNameError: for an unknown dataset or option.
        UsageError: when the file leaves the shape of images open, or contradicts an argument.
        DataError: when the file cannot be read, is not recognised, or any name or shape in it is wrong.
    """
    path = Path(weights)
    given = weights_file.recognise(path)
    user: Tree = {"options": dict(options or {})}
    if image_size is not None:
        user["image"] = {"size": list(image_size)}
    config = given.fit(_configuration(given, dataset, user), user)
    method = registry.get(given.method).build(config, given.data)
    weights_file.load(path, method, config)
    method.config = config
    method.requires_grad_(False)
    return method.eval()


def read_images(method: Method, files: Mapping[Sensor, str | os.PathLike[str]]) -> dict[Modality, Tensor]:
    """Read one image per sensor as the method expects them.

    Args:
        method: from :func:`load_method`.
        files: by sensor, ``"R"``, ``"N"`` or ``"T"``; those that are absent are left out.

    Returns:
        (1, 3, H, W) float32 by modality, ready for ``method.encode``.

    Raises:
        UnknownNameError: for an unknown sensor.
        UsageError: for a method that was not loaded from weights.
        DataError: for an unreadable image.
    """
    config = method.config
    if config is None:
        raise UsageError("read_images needs a method from load_method, which knows the size of its images.")
    images = {}
    for sensor, file in files.items():
        try:
            pixels = resize(load_rgb(Path(file), config.image.counts), config.image_size, training=False)
        except BadImageError as error:
            raise DataError(f"The image {os.fspath(file)} cannot be used: {error}.") from None
        modality = sensor if isinstance(sensor, Modality) else Modality.parse(sensor)
        images[modality] = normalise(pixels, config.image)[None]
    return images


def _configuration(given: GivenWeights, dataset: str | None, user: Tree) -> RunConfig:
    """Return the recipe of the method, for the images that the weights were trained on as far as that is known."""
    card = _card(given, dataset)
    if card and given.dataset not in (None, card.name):
        raise UsageError(f"The weights {given.path} were trained on {given.dataset}, not on {dataset}; leave it out.")
    size = user.get("image", {}).get("size") or (card.image_size if card else given.image and given.image.size)
    if size is None:
        raise UsageError(
            f"The weights {given.path} fit images of more than one shape; say which with dataset or image_size."
        )
    method, overrides = registry.card(given.method), Overrides(flags=merge({"options": given.suggested}, user))
    if card is None:
        options, recipes = method.options_model, method.recipes
        return resolve(given.method, options, recipes, _NO_DATASET, tuple(size), PRESET, overrides)
    given.check_origin(card, partial(resolve_for, method, preset=PRESET, overrides=overrides))
    return resolve_for(method, card, PRESET, overrides)


def _card(given: GivenWeights, dataset: str | None) -> DatasetCard | None:
    """Return the dataset that weights were trained on: as told, as they say, or the one that fits best."""
    if dataset is not None:
        return datasets.get(dataset).card
    if not given.released:
        return datasets.get(given.dataset).card if given.dataset in datasets.names() else None
    return given.likely
