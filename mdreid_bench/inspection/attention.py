"""What the output tokens of a trained method attend to, drawn over the images of some items."""

from contextlib import ExitStack

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.transforms import normalise, resize
from mdreid_bench.inspection.images import Thumbnails
from mdreid_bench.inspection.strips import Cell, Picture
from mdreid_bench.models.method import Method
from mdreid_bench.models.trunk.attention import TOKENS, is_watchable, watched
from mdreid_bench.models.trunk.trunk import Trunk, patch_grid
from protocols.modality import Modality

_OPACITY = 0.6


def why_not(method: Method) -> str | None:
    """Say why the attention of a method cannot be watched, in a few words; None where it can."""
    if any(is_watchable(backbone) for backbone in method.backbones()):
        return None
    return f"{method.card.title} has no vision transformer of plain blocks"


@torch.inference_mode()
def attention_of(
    method: Method, config: RunConfig, index: DatasetIndex, row: int
) -> dict[Modality, NDArray[np.float32]]:
    """Return what the output tokens attend to in the images of a test item, (k, L) by sensor.

    The method sees the item with all its images, as they are resized for testing, in single precision. Of the L
    tokens, the first k are the output tokens themselves and the others the patches; rows sum to 1. A sensor whose
    image no transformer sees by itself is left out.

    Raises:
        DataError: for an image that has changed since the dataset was opened.
    """
    images = index.read(index.test.images[row], config.image.counts)
    resized = {sensor: resize(image, config.image_size, training=False) for sensor, image in images.items()}
    pixels = {sensor: normalise(image, config.image) for sensor, image in resized.items()}
    camera = torch.from_numpy(index.test.labels.camera[row : row + 1])
    trunks = [one for one in method.backbones() if isinstance(one, Trunk) and is_watchable(one)]
    with ExitStack() as stack:
        seen = [stack.enter_context(watched(trunk)) for trunk in trunks]
        method.encode({sensor: image[None] for sensor, image in pixels.items()}, camera)
    found = {
        sensor: [rows for one in seen if (rows := one.of(image)) is not None] for sensor, image in pixels.items()
    }
    return {sensor: rows[0].numpy() for sensor, rows in found.items() if rows}


def attention_cells(
    method: Method,
    config: RunConfig,
    index: DatasetIndex,
    thumbnails: Thumbnails,
    row: int,
    name: str,
    sensors: Modality,
) -> list[Cell]:
    """Return, for each sensor, a cell with the image and one for each output token with its attention.

    Raises:
        DataError: for an image that has changed since the dataset was opened.
    """
    trunk = next(one for one in method.backbones() if isinstance(one, Trunk) and is_watchable(one))
    grid, cells = patch_grid(trunk.patch, config.image_size), list[Cell]()
    by_sensor = attention_of(method, config, index, row)
    for sensor in (one for one in sensors if one in by_sensor):
        found, image = by_sensor[sensor], thumbnails.of(row)[sensor]
        cells.append(Cell((Picture(f"{name}, {sensor}", str(sensor), image),), (f"image {sensor}",)))
        for token, values in zip(TOKENS, found, strict=False):
            patches = values[len(found) :]
            drawn = overlaid(image, patches.reshape(grid))
            said = (token, f"{100 * patches.sum():.0f} % on patches")
            cells.append(Cell((Picture(f"{name}, {sensor}, attention of the {token}", str(sensor), drawn),), said))
    return cells


def overlaid(image: Image.Image, patches: NDArray[np.float32]) -> Image.Image:
    """Lay the attention to patches (rows, columns) over an image, from dark (none) to bright (the most of any)."""
    from matplotlib import colormaps

    shades = colormaps["inferno"](patches / max(float(patches.max()), 1e-12), bytes=True)[..., :3]
    heat = Image.fromarray(np.ascontiguousarray(shades)).resize(image.size, Image.Resampling.NEAREST)
    return Image.blend(image.convert("RGB"), heat, _OPACITY)
