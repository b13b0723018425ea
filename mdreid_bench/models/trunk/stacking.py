"""One trunk call for the images of several sensors."""

from collections.abc import Callable

import torch
from torch import Tensor

from mdreid_bench.models.method import Cameras, Images
from protocols.modality import Modality


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
