"""The shared vision transformer with extra tokens and a camera embedding."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from mdreid_bench.config.schema import RunConfig, UntrainedCameras
from mdreid_bench.errors import UsageError
from mdreid_bench.models.backbone import Backbone
from mdreid_bench.models.method import Cameras, Images
from mdreid_bench.models.trunk.blocks import run_block
from mdreid_bench.models.trunk.tower_weights import visual_tower
from protocols.modality import Modality

CACHED_VALUES = 5_000_000
"""Hidden values of an MLP up to which images go through the blocks of a trunk together on a CPU.

When they take several times the size of the caches, all but the matrix products is limited by memory bandwidth.
"""


def interpolate_positions(table: Tensor, grid: tuple[int, int], extra_tokens: int = 1) -> Tensor:
    """Fit a pretrained position table to another grid and number of leading tokens.

    The class row is repeated for every leading token; the square grid is resized bilinearly, row-major, height first
    (docs/methods/training.md, "Position tables and pretrained towers").

    Args:
        table: (1 + s*s, W) of the pretrained model.
        grid: (rows, columns) of patches of the images in use.
        extra_tokens: number of leading tokens k.

    Returns:
        (k + rows * columns, W).
    """
    side = round((table.shape[0] - 1) ** 0.5)
    square = table[1:].T.reshape(1, -1, side, side)
    resized = F.interpolate(square, size=grid, mode="bilinear", align_corners=False)
    return torch.cat([table[:1].expand(extra_tokens, -1), resized.flatten(2)[0].T])


def tower_for(config: RunConfig) -> nn.Module:
    """Return the visual tower that a configuration asks for.

    Raises:
        UsageError: when the image size is not a multiple of the patch size, or patches that overlap do not fit in.
    """
    visual = visual_tower(config.trunk)
    patch: Any = visual.conv1
    side = patch.kernel_size
    if config.trunk.stride is None:
        if any(length % s for length, s in zip(config.image_size, side, strict=True)):
            raise UsageError(f"image.size {config.image_size} must be a multiple of the trunk's patch size {side}.")
    elif config.trunk.stride > min(side) or any(a < b for a, b in zip(config.image_size, side, strict=True)):
        raise UsageError(
            f"trunk.stride {config.trunk.stride} and image.size {config.image_size} do not go with patches of "
            f"{side}: no stride is larger, no image smaller."
        )
    else:
        patch.stride = (config.trunk.stride,) * 2
    return visual


def patch_grid(patch: Any, image_size: tuple[int, int]) -> tuple[int, int]:
    """Return the (rows, columns) of patches that a convolution without padding makes of an image."""
    rows, columns = (
        (length - side) // step + 1
        for length, side, step in zip(image_size, patch.kernel_size, patch.stride, strict=True)
    )
    return rows, columns


class Trunk(Backbone):
    """A CLIP vision transformer that puts out one vector for each of its leading tokens, or for all.

    Token order: class (specific) token, shared token if any, patches. The camera embedding is added to the class
    token only, before the position table and the first layer norm. The output projection is applied to every
    leading token after the last layer norm. The last block is computed for these alone (docs/methods/mdreid.md,
    "Trunk and tokens").

    Args:
        visual: open_clip vision transformer, pretrained or not.
        image_size: (height, width) in pixels, multiples of the patch size unless patches overlap.
        cameras: rows of the camera table.
        shared_token: whether a second leading token is used.
        tie_shared_token: let the shared token be the class token's parameter, as in the released code.
        random_shared_token: let one that is not tied start from noise of the class token's spread.
        all_tokens: whether vectors of the patches are put out too.
        camera_scale: coefficient of the camera embedding.

    Attributes:
        width: size D of an output vector.
        checkpointing: whether training computes the inside of a block again for the gradient instead of keeping it.
    """

    checkpointing = False

    def __init__(
        self,
        visual: nn.Module,
        image_size: tuple[int, int],
        cameras: int,
        *,
        shared_token: bool,
        tie_shared_token: bool = True,
        random_shared_token: bool = False,
        all_tokens: bool = False,
        camera_scale: float = 1.0,
    ) -> None:
        super().__init__()
        source: Any = visual
        self.patch = source.conv1
        self.ln_pre, self.blocks, self.ln_post = source.ln_pre, source.transformer.resblocks, source.ln_post
        self.projection = source.proj
        self.class_token = source.class_embedding
        self.shared_token: nn.Parameter | None = None
        if shared_token and not tie_shared_token:
            start = source.class_embedding.detach().clone()
            self.shared_token = nn.Parameter(torch.randn_like(start) * start.std() if random_shared_token else start)
        self.leading = 2 if shared_token else 1
        self.keep = None if all_tokens else self.leading
        table = source.positional_embedding.detach()
        self.position = nn.Parameter(interpolate_positions(table, patch_grid(self.patch, image_size), self.leading))
        self.camera = nn.Parameter(torch.empty(cameras, table.shape[1]))
        nn.init.trunc_normal_(self.camera, std=0.02)
        self.camera_scale = camera_scale
        self.width, self.token_width = int(source.proj.shape[1]), table.shape[1]

    @classmethod
    def build(cls, config: RunConfig, cameras: int, **tokens: bool) -> "Trunk":
        """Build the trunk that a configuration asks for; ``tokens`` are the last arguments of the class.

        Raises:
            UsageError: when the image size is not a multiple of the patch size.
        """
        return cls(tower_for(config), config.image_size, cameras, **tokens)

    def pretrained(self) -> Iterator[nn.Parameter]:
        """Yield all but the camera table, which no pretrained network has."""
        return (parameter for parameter in self.parameters() if parameter is not self.camera)

    @torch.no_grad()
    def settle_cameras(self, trained: Tensor, how: UntrainedCameras = "mean") -> None:
        """Let the vector of a camera without training images be the mean of the others', or 0.

        See docs/methods/training.md, "Cameras".
        """
        if len(trained) == len(self.camera) and trained.any() and not trained.all():
            self.camera[~trained] = self.camera[trained].mean(dim=0) if how == "mean" else 0.0

    @torch.no_grad()
    def leave_cameras_out(self) -> None:
        """Let all camera vectors be 0, and stay so."""
        self.camera.zero_().requires_grad_(False)

    def set_checkpointing(self, on: bool) -> None:
        """Compute the inside of a block again for the gradient instead of keeping it."""
        self.checkpointing = on

    def forward(self, images: Tensor, camera: Tensor) -> Tensor:
        """Return the vectors of the tokens that are put out, (B, k, D), of images (B, 3, H, W) and cameras (B,)."""
        return torch.cat([self._transform(self._assemble(*chunk)) for chunk in self._chunks(images, camera)])

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile all from the assembled tokens on, with the arguments of ``torch.compile``."""
        self.__dict__["_transform"] = torch.compile(self._transform, *args, **kwargs)

    def _chunks(self, images: Tensor, camera: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images of the trunk's own type with their cameras: all at once, or on a CPU as many as suit it."""
        size = self.rows_at_once(images)
        for start in range(0, len(images), size):
            rows = slice(start, start + size)
            yield images[rows].to(self.patch.weight.dtype), camera[rows]

    def rows_at_once(self, batch: Tensor) -> int:
        """Return how many images, or their tokens, go through the blocks together: all, or on a CPU what suits it."""
        if batch.device.type != "cpu" or torch.is_grad_enabled():
            return max(1, len(batch))
        tokens, width = self.position.shape
        return max(1, CACHED_VALUES // (tokens * 4 * width))

    def _assemble(self, images: Tensor, camera: Tensor) -> Tensor:
        first = self.class_token + self.camera_scale * self.camera[camera]
        leading = [first[:, None]]
        if self.leading == 2:
            shared = self.class_token if self.shared_token is None else self.shared_token
            leading.append(shared.expand(len(images), 1, -1))
        patches = self.patch(images).flatten(2).transpose(1, 2)
        return torch.cat([*leading, patches], dim=1) + self.position

    def _transform(self, tokens: Tensor) -> Tensor:
        tokens = self.ln_pre(tokens)
        last = len(self.blocks) - 1
        for number, block in enumerate(self.blocks):
            tokens = self.kept_or_repeated(run_block, block, tokens, self.keep if number == last else None)
        output: Tensor = self.ln_post(tokens) @ self.projection
        return output

    def kept_or_repeated(self, work: Any, *arguments: Any) -> Any:
        """Do a part of the work; when checkpointing, keep nothing but the arguments for the gradient."""
        if self.checkpointing and self.training and torch.is_grad_enabled():
            return checkpoint(work, *arguments, use_reentrant=False)
        return work(*arguments)


def run_trunk(trunk: Callable[[Tensor, Tensor], Tensor], images: Images, camera: Cameras) -> dict[Modality, Tensor]:
    """Stack the sensors on the batch axis, run the trunk once, and take them apart again.

    Args:
        trunk: of all sensors.
        images: (B, 3, H, W) by sensor.
        camera: (B,) of the items, or by sensor.

    Returns:
        By sensor what the trunk returns of images and their cameras, such as (B, k, D), the k leading tokens.
    """
    output = trunk(torch.cat(list(images.values())), stacked_cameras(images, camera))
    return dict(zip(images, output.chunk(len(images)), strict=True))


def stacked_cameras(images: Images, camera: Cameras) -> Tensor:
    """Return the cameras of all images, one sensor after the other."""
    return torch.cat([camera_of(camera, m) for m in images])


def camera_of(camera: Cameras, sensor: Modality) -> Tensor:
    """Return the (B,) cameras of the images of one sensor."""
    return camera if isinstance(camera, Tensor) else camera[sensor]
