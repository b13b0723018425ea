"""What a recognised weights file fixes of a configuration, and what it leaves open."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from mdreid_bench.config.resolve import Overrides, resolve
from mdreid_bench.config.schema import ImageConfig, RunConfig, TrunkConfig, UntrainedCameras
from mdreid_bench.config.tree import Tree
from mdreid_bench.data import registry as datasets
from mdreid_bench.data.card import DatasetCard
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.models import registry
from mdreid_bench.models.card import DataFacts, MethodCard
from mdreid_bench.progress import Silent
from mdreid_bench.weights.weights_header import Selection

Size = tuple[int, int]
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
        dataset: what it was trained on, or for where there are ``sources``, if the file says so.
        source: where it comes from, in words.
        sources: other datasets that were trained on.
        source_cameras: with these, what became of the vectors of cameras that were not trained on.
        missing: rate at which training items had lost each of their sensors, as far as the file says so.
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
    sources: tuple[str, ...] = ()
    source_cameras: UntrainedCameras | None = None
    missing: float = 0.0

    @property
    def released(self) -> bool:
        """Whether this is a checkpoint of other code than this suite's."""
        return self.image is None

    @property
    def likely(self) -> DatasetCard | None:
        """The dataset whose cameras, and if possible identities, are those of the weights.

        None when several fit whose images differ in shape, or none does.
        """
        fitting = [card for card in datasets.cards(Silent().message).values() if card.cameras == self.data.cameras]
        exact = [card for card in fitting if self._is_of(card)]
        shapes = {card.image_size for card in exact or fitting}
        return (exact or fitting)[0] if len(shapes) == 1 else None

    @property
    def described(self) -> str:
        """Where the weights come from, and of which dataset they look like."""
        card = self.likely
        origin = self.dataset or (card.title if card and self._is_of(card) else None)
        trained = " and ".join(self.sources) or origin
        told = f", trained on {trained}" + (f" for {origin}" if self.sources else "")
        return f"from {self.source}" + (told if trained else "")

    def _is_of(self, card: DatasetCard) -> bool:
        return (card.cameras, card.counts.train_identities) == (self.data.cameras, self.data.identities)

    def check_origin(self, card: DatasetCard, resolved: Callable[[DatasetCard], RunConfig]) -> None:
        """Refuse weights that count as another dataset, whose images have another shape, would be read wrongly.

        Args:
            card: the dataset that they are to be used with.
            resolved: from a dataset to its configuration, with what the user set.

        Raises:
            UsageError: unless the user set the size of the images.
        """
        likely = self.likely
        if not self.released or likely is None or self._is_of(card) or not self._is_of(likely):
            return
        here, there = (resolved(c).image_size for c in (card, likely))
        if here != there:
            raise UsageError(
                f"The weights {self.path} look like those of {likely.title} ({self.data.identities} identities, "
                f"{self.data.cameras} cameras, images {there[0]}x{there[1]}), not of {card.title}; to use them with "
                f"{card.title} all the same, set the image size to [{there[0]},{there[1]}]."
            )

    def shape(self, config: ImageConfig, user: Tree) -> tuple[ImageConfig, int | None]:
        """Return the image section and ``trunk.stride`` that fit the file.

        Without a size in the file, that is the shape of the configured images with the number of patches of the file,
        because 128 patches may be 16 rows of 8 (persons) as well as 8 rows of 16 (vehicles). 210 patches are 21 rows
        of 10, an image of 256x128 with patches 12 pixels apart.

        Args:
            config: the section, its size filled in.
            user: what the user set of the whole configuration.

        Raises:
            UsageError: when the user set a size of another number of patches, or several shapes fit.
            DataError: when no size of that shape has the number of patches.
        """
        if self.image is not None:
            return self.image, self.trunk.stride
        assert config.size is not None
        set_by_user = (user.get("image") or {}).get("size") is not None
        stride = (user.get("trunk") or {}).get("stride")
        found = self._shapes(config.size, set_by_user, stride)
        text = "x".join(map(str, config.size))
        rows = f"The position table in {self.path} has {self.patches} rows for patches, "
        if len(found) > 1:
            shapes = " or ".join(f"{h}x{w} with trunk.stride={step or self.patch}" for (h, w), step in found)
            raise UsageError(f"{rows}which may be {shapes}; set image.size and trunk.stride.")
        if not found and (set_by_user or stride):
            raise UsageError(
                f"{rows}which an image of {text} has not with trunk.stride={stride or self.patch}; leave both out."
            )
        if not found:
            raise DataError(
                f"{rows}which no image of the shape {text} has; give the size it was trained with as "
                "--set image.size=[HEIGHT,WIDTH], and --set trunk.stride=PIXELS where patches overlap."
            )
        return config.model_copy(update={"size": found[0][0]}), found[0][1]

    def _shapes(self, size: Size, set_by_user: bool, stride: int | None) -> list[tuple[Size, int | None]]:
        """Return sizes and strides with as many patches as the file; patches that overlap do so by half at most."""
        height, width = size
        rows = math.isqrt(self.patches * height // width)
        scaled = rows * self.patch, rows * width // height * self.patch
        similar = scaled[0] * width == scaled[1] * height
        sizes = [size, *([scaled] if similar and not set_by_user else [])]
        if stride is not None:
            return [(s, stride) for s in dict.fromkeys(sizes) if self._count(s, stride) == self.patches]
        plain = [
            s for s in sizes if self._count(s, self.patch) == self.patches and not any(x % self.patch for x in s)
        ]
        if plain[:1] == [size] and not set_by_user:
            return [(size, None)]
        usual = [
            c.image_size
            for c in datasets.cards(Silent().message).values()
            if (c.image_size[0] > c.image_size[1]) == (height > width) and c.sensors == self.data.modalities
        ]
        overlapping = [
            (s, step)
            for s in dict.fromkeys([size, *usual])
            for step in range(self.patch // 2, self.patch)
            if self._count(s, step) == self.patches
        ]
        return [*((s, None) for s in plain), *overlapping]

    def _count(self, size: Size, stride: int) -> int:
        return math.prod((side - self.patch) // stride + 1 for side in size)

    def fit(self, config: RunConfig, user: Tree, *, options_too: bool = True) -> RunConfig:
        """Return a configuration with everything in it that the file fixes.

        Args:
            config: resolved for the method and a dataset.
            user: what the user set of it.
            options_too: whether the user must not set other options of the method than those in the file.

        Raises:
            UsageError: when the weights belong to another method, or the user set something that they contradict.
            DataError: when the options in the file are not those of the installed method.
        """
        if config.method != self.method:
            raise UsageError(f"The weights {self.path} are of {self.method}, not of {config.method}.")
        image, stride = self.shape(config.image, user)
        trunk, options = self.trunk.model_copy(update={"stride": stride}), {**config.options, **self.options}
        fitted = config.model_copy(update={"trunk": trunk, "image": image, "options": options})
        if not options_too:
            chosen = {name: config.options[name] for name in user.get("options") or {}}
            fitted = fitted.model_copy(update={"options": {**options, **chosen}})
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


def resolve_for(method: MethodCard, dataset: DatasetCard, preset: str, overrides: Overrides) -> RunConfig:
    """Return the configuration of a method on a dataset; see :func:`mdreid_bench.config.resolve.resolve`."""
    size, options = dataset.image_size, method.options_model
    return resolve(method.name, options, method.recipes, dataset.name, size, preset, overrides)
