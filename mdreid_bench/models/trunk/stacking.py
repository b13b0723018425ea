"""One trunk call for the images of several modalities."""

import torch
from torch import Tensor

from mdreid_bench.models.method import Images
from mdreid_bench.models.trunk.trunk import Trunk
from protocols.modality import Modality


def run_trunk(trunk: Trunk, images: Images, camera: Tensor) -> dict[Modality, Tensor]:
    """Stack the modalities on the batch axis, run the trunk once, and take them apart again.

    Args:
        trunk: the shared trunk.
        images: (B, 3, H, W) by modality.
        camera: (B,), the same for all modalities of an item.

    Returns:
        (B, k, D) by modality, the k leading tokens.
    """
    present = list(images)
    stacked = torch.cat([images[m] for m in present])
    output = trunk(stacked, camera.repeat(len(present)))
    return dict(zip(present, output.chunk(len(present)), strict=True))
