"""What a recognised weights file fixes of a configuration, and what it leaves open."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mdreid_bench.config.schema import ImageConfig, RunConfig, TrunkConfig
from mdreid_bench.config.tree import Tree
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.models import registry
from mdreid_bench.models.method import DataFacts
from mdreid_bench.weights.weights_facts import Selection

_NOT_FIXED = {"trunk": {"pretrained"}, "image": {"scale"}, "options": set[str]()}
"""Keys of which a file says nothing that could contradict the user."""


@dataclass(frozen=True)
class GivenWeights:
    """A recognised weights file and what it fixes of the configuration.

    Attributes:
        path: the file.
        method: registered name of the method.
        data: size of its classifiers and of its camera table.
        selection: how the epoch was chosen; released checkpoints are the best epoch on the test data.
        trunk: the trunk that its tensors belong to.
        image: size and pixel statistics of the images; None when the file holds but the number of patches.
        patches: rows of the position table that belong to patches.
        patch: side of a patch in pixels.
        options: options of the method that are fixed.
        suggested: options that change embeddings alone, as they were when the file was written.
        dataset: what it was trained on, if the file says so.
        source: where it comes from, in words.
    """

    path: Path
    method: str
    data: DataFacts
    selection: Selection
    trunk: TrunkConfig
    image: ImageConfig | None
    patches: int
    patch: int
    options: Tree
    suggested: Tree
    dataset: str | None
    source: str

    @property
    def released(self) -> bool:
        """Whether this is a checkpoint of other code than this suite's."""
        return self.image is None

    def image_for(self, config: ImageConfig, user: Mapping[str, Any]) -> ImageConfig:
        """Return the image section that fits the file.

        Without a size in the file, that is the shape of the configured images with the number of patches of the file,
        because 128 patches may be 16 rows of 8 (persons) as well as 8 rows of 16 (vehicles).

        Args:
            config: the section, its size filled in.
            user: what the user set of it.

        Raises:
            UsageError: when the user set a size of another number of patches.
            DataError: when no size of that shape has the number of patches.
        """
        if self.image is not None:
            return self.image
        assert config.size is not None
        height, width = config.size
        given = (height // self.patch) * (width // self.patch)
        if given == self.patches and not (height % self.patch or width % self.patch):
            return config
        if user.get("size") is not None:
            raise UsageError(
                f"image.size {[height, width]} has {given} patches, but the weights {self.path} have {self.patches}; "
                "leave it out."
            )
        rows = math.isqrt(self.patches * height // width)
        columns = rows * width // height
        if rows * columns != self.patches or rows * width != columns * height:
            raise DataError(
                f"The position table in {self.path} has {self.patches} rows for patches, which no image of the shape "
                f"{height}x{width} has; give the size it was trained with as --set image.size=[HEIGHT,WIDTH]."
            )
        return config.model_copy(update={"size": (rows * self.patch, columns * self.patch)})

    def fit(self, config: RunConfig, user: Tree) -> RunConfig:
        """Return a configuration with everything in it that the file fixes.

        Args:
            config: resolved for the method and a dataset.
            user: what the user set of it.

        Raises:
            UsageError: when the weights belong to another method, or the user set something that they contradict.
            DataError: when the options in the file are not those of the installed method.
        """
        if config.method != self.method:
            raise UsageError(f"The weights {self.path} are of {self.method}, not of {config.method}.")
        image = self.image_for(config.image, user.get("image") or {})
        fitted = config.model_copy(
            update={"trunk": self.trunk, "image": image, "options": {**config.options, **self.options}}
        )
        for section, free in _NOT_FIXED.items():
            before, after = config.model_dump()[section], fitted.model_dump()[section]
            for key in set(user.get(section) or {}) - free:
                if before[key] != after[key]:
                    raise UsageError(
                        f"The weights {self.path} have {section}.{key}={after[key]}, which cannot be set to "
                        f"{before[key]}; leave it out."
                    )
        try:
            registry.card(self.method).options_model.model_validate(fitted.options)
        except ValidationError as error:
            raise DataError(
                f"The weights {self.path} have options that the installed {self.method} does not know "
                f"({error.errors()[0]['msg']}); use the version of this suite that wrote them."
            ) from None
        return fitted

    def check_cameras(self, highest: int, where: str) -> None:
        """Refuse images of a camera that the camera table has no row for.

        Raises:
            DataError: when ``highest``, counted from 0, is beyond the table.
        """
        if highest >= self.data.cameras:
            raise DataError(
                f"The weights {self.path} know {self.data.cameras} cameras, but {where} has images of camera "
                f"{highest + 1}; they cannot be evaluated on it."
            )
