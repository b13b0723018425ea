"""The full configuration of one run, as pydantic models that refuse unknown keys."""

import os
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Deviation = Annotated[float, Field(gt=0)]
LARGEST_SIDE = 4096
Side = Annotated[int, Field(gt=0, le=LARGEST_SIDE)]
"""Side of an image in pixels; a trunk has a row of its position table for each patch."""
LARGEST_SEED = 2**63 - 1
"""Of a signed integer of 64 bits, which every generator of random numbers and every format of tables takes."""
Precision = Literal["fp32", "bf16", "fp16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
PrecisionChoice = Literal["auto", "fp32", "bf16", "fp16"]
EpochChoice = Literal["last-epoch", "best-test"]
UntrainedCameras = Literal["mean", "none", "off"]
"""Which epoch of a training is kept: the last one, or the one with the best mAP on the test data."""


_LATER = (
    ("image", "counts"),
    ("trunk", "stride"),
    ("augment", "erase_fill"),
    ("augment", "channels"),
    ("schedule", "milestones"),
)
"""Settings that there were not always; where they are not used, run keys are as before."""


class Section(BaseModel):
    """Base of every part of the configuration: frozen, unknown keys are errors, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _expanded(value: str | None) -> str | None:
    return value and os.path.expanduser(value)  # leaves unknown users as they are


class TrunkConfig(Section):
    """The pretrained network that a method starts from."""

    name: str = Field(
        description="open_clip model name or mdreid-tiny; for convolutional methods resnet50 or mdreid-resnet-tiny"
    )
    pretrained: str | None = Field(
        description="tag of open_clip or torchvision, a weights file, 'synthetic' (of the stand-ins) or null for none"
    )
    stride: Positive | None = Field(
        default=None,
        description="pixels from one patch to the next; fewer than its side let patches overlap, null takes it",
    )
    layers: Positive | None = Field(
        default=None, description="number of transformer blocks, counted from the first; null takes all of the model"
    )

    _path = field_validator("pretrained")(_expanded)


class ImageConfig(Section):
    """Size and pixel statistics of the images that enter the trunk."""

    size: tuple[Side, Side] | None = Field(
        default=None, description="(height, width); null takes the dataset's size times scale"
    )
    scale: Annotated[float, Field(gt=0, le=LARGEST_SIDE)] = Field(
        default=1.0, description="factor on the dataset's size, in whole patches of 16; used when size is null"
    )
    mean: float | tuple[float, float, float] = Field(
        default=0.5, description="subtracted from pixels in [0, 1]: one number, or [red, green, blue]"
    )
    std: Deviation | tuple[Deviation, Deviation, Deviation] = Field(
        default=0.5, description="divides the pixels after the mean: one number, or [red, green, blue]"
    )
    counts: tuple[float, float] | None = Field(
        default=None,
        description="[low, high], counts that become black and white in images of more than 8 bits; null takes the "
        "1st and 99th percentile of each image",
    )

    @field_validator("counts")
    @classmethod
    def _rises(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not value[0] < value[1]:
            raise ValueError("the first of the two counts must be lower than the second")
        return value


class AugmentConfig(Section):
    """Training transforms (docs/methods/training.md, "Image transforms")."""

    flip: Fraction = Field(default=0.5, description="probability of a horizontal flip")
    pad: Annotated[int, Field(ge=0)] = Field(default=10, description="zero padding before the random crop, pixels")
    erase: Fraction = Field(default=0.5, description="probability of erasing one box with N(0, 1) noise")
    erase_area: tuple[Fraction, Fraction] = Field(default=(0.02, 1 / 3), description="share of the image erased")
    erase_aspect: tuple[float, float] = Field(default=(0.3, 3.33), description="aspect ratio range of the box")
    sync: bool = Field(default=False, description="same flip, crop and box for all images of an item")
    erase_fill: tuple[float, float, float] | None = Field(
        default=None, description="values of the channels in an erased box, on the normalised scale; null for noise"
    )
    channels: bool = Field(
        default=False, description="put one channel of an RGB image in the place of all three, or take it grey"
    )


class BatchConfig(Section):
    """Identity-balanced batches: size = identities x instances."""

    size: Positive = Field(default=64, description="items per batch")
    instances: Positive = Field(default=8, description="items per identity in a batch (K)")

    @model_validator(mode="after")
    def _divides(self) -> "BatchConfig":
        if self.size % self.instances or self.size == self.instances:
            raise ValueError(
                f"batch.size {self.size} must be a multiple of batch.instances {self.instances} "
                "and hold at least two identities"
            )
        return self


class OptimizerConfig(Section):
    """Optimiser and learning rates (docs/methods/training.md, "Optimiser groups")."""

    name: Literal["adam", "adamw", "sgd"] = Field(
        default="adam",
        description="Adam with L2 decay, AdamW (decay outside the gradient) or SGD without Nesterov",
    )
    lr: Annotated[float, Field(gt=0)] = Field(default=3.5e-4, description="base learning rate")
    trunk_lr: Annotated[float, Field(ge=0)] | None = Field(
        default=5e-6, description="learning rate of the pretrained trunk; null takes the base rate"
    )
    bias_factor: Annotated[float, Field(gt=0)] = Field(
        default=2.0, description="factor on the base rate for biases outside the trunk"
    )
    weight_decay: Annotated[float, Field(ge=0)] = Field(default=1e-4, description="decay, of biases too")
    momentum: Fraction = Field(default=0.9, description="momentum of SGD; unused by Adam and AdamW")


class ScheduleConfig(Section):
    """Warm-up and cosine per epoch (docs/methods/training.md, "Learning-rate schedule")."""

    epochs: Positive = Field(
        default=50, description="number of epochs; shortening it alone shortens the warm-up in proportion"
    )
    warmup: Annotated[int, Field(ge=0)] = Field(default=10, description="warm-up epochs")
    warmup_factor: Annotated[float, Field(ge=0)] = Field(
        default=0.1, description="warm-up starts at this factor times the base rate, for every group"
    )
    floor_factor: Annotated[float, Field(ge=0)] = Field(
        default=1e-3, description="the cosine ends at this factor times the base rate, for every group"
    )
    noise: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.67, description="bound of the multiplicative noise on all rates; 0 switches it off"
    )
    milestones: tuple[Positive, ...] | None = Field(
        default=None, description="epochs from which on all rates are a tenth of those before; null takes the cosine"
    )


class EvaluationConfig(Section):
    """How features are extracted; a precision that is asked for is part of the run key, nothing else is."""

    batch_size: Positive = Field(default=128, description="test items per forward pass")
    precision: PrecisionChoice = Field(
        default="auto",
        description="type of weights and activations for extraction; auto is bf16, or else fp16, on CUDA, bf16 for "
        "large trunks on CPUs with instructions for it, and fp32 otherwise",
    )
    compile: bool = Field(default=False, description="compile the trunk for extraction; takes a while at first")


class MemoryConfig(Section):
    """How training fits into memory; changes numbers by rounding alone and is not part of the run key."""

    micro_batch: Positive | None = Field(
        default=None,
        description="items that pass the trunk together in training, twice each; losses and their mining still "
        "see the whole batch; null passes all at once",
    )
    checkpointing: bool = Field(
        default=False, description="compute the inside of each transformer block again instead of keeping it"
    )


class DataConfig(Section):
    """How images are fed, which changes no number and is not part of the run key, and which of them are lost."""

    workers: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="loader processes; null picks from the number of cores and the cache"
    )
    cache_mb: Annotated[int, Field(ge=0)] = Field(
        default=512, description="memory for decoded, resized training images; beyond it they are read again"
    )
    missing: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0,
        description="rate at which each training item loses each of its sensors for the whole training, never all; "
        "drawn with the seed, part of the run key unless 0",
    )


class RunConfig(Section):
    """Everything that determines the numbers of one run, and a little that does not."""

    method: str
    dataset: str
    preset: str
    sources: tuple[str, ...] = Field(
        default=(), description="datasets that are trained on instead of the evaluated one, set by --source"
    )
    source_cameras: UntrainedCameras = Field(
        default="mean",
        description="with --source, camera vector of images by cameras that were not trained on: mean of the trained "
        "ones, none, or off, which leaves camera vectors out of the training too",
    )
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = Field(
        default=1111, description="seed of weights, sampling and augmentation"
    )
    selection: EpochChoice = Field(
        default="last-epoch",
        description="epoch that is reported; best-test looks at the test data, as the released code does, and is "
        "marked everywhere",
    )
    init: str | None = Field(
        default=None,
        description="weights file of the same method to start training from; what does not fit the data is new",
    )
    _path = field_validator("init")(_expanded)
    trunk: TrunkConfig
    image: ImageConfig = ImageConfig()
    augment: AugmentConfig = AugmentConfig()
    batch: BatchConfig = BatchConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    precision: PrecisionChoice = Field(
        default="auto",
        description="of training, mixed with fp32; auto is bf16, or else fp16, on CUDA, bf16 for large trunks on "
        "CPUs with instructions for it, and fp32 otherwise",
    )
    memory: MemoryConfig = MemoryConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    data: DataConfig = DataConfig()
    options: dict[str, Any] = Field(default_factory=dict, description="the method's own options")

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels; resolved configurations always have them."""
        if self.image.size is None:
            raise ValueError("the image size is filled in when a configuration is resolved for a dataset")
        return self.image.size

    def determining(self) -> dict[str, Any]:
        """Return the part that determines the trained weights, for the run key."""
        tree = self.model_dump(mode="json", exclude={"evaluation", "data", "memory", "preset"})
        tree["image"].pop("scale")
        if self.data.missing:
            tree["data"] = {"missing": self.data.missing}
        if self.init is None:
            del tree["init"]
        if not self.sources:
            del tree["sources"], tree["source_cameras"]
        for section, name in _LATER:
            if not tree[section][name]:
                del tree[section][name]
        return tree
