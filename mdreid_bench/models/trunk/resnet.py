"""Convolutional trunks: residual networks with torchvision's names of parameters, without a classifier."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from mdreid_bench.config.schema import TrunkConfig
from mdreid_bench.errors import UsageError
from mdreid_bench.models.backbone import Backbone
from mdreid_bench.models.trunk.resnet_weights import load_resnet
from mdreid_bench.models.trunk.tower_weights import weights_file
from protocols.modality import Modality
from protocols.names import UnknownNameError

Border = Literal["stem", "layer1"]
"""Last part of what each sensor has for itself."""


@dataclass(frozen=True)
class Shape:
    """What sets one residual network apart from another.

    Attributes:
        block: of the four layers.
        blocks: how many a layer has.
        planes: of the blocks of each layer; a bottleneck puts out four times as many channels.
        kernel: side of the first convolution, of stride 2.
        pooled: whether a pooling of stride 2 follows it.
    """

    block: Any
    blocks: Sequence[int]
    planes: Sequence[int]
    kernel: int
    pooled: bool


SHAPES = {
    "resnet50": Shape(Bottleneck, (3, 4, 6, 3), (64, 128, 256, 512), 7, True),
    "mdreid-resnet-tiny": Shape(BasicBlock, (1, 1, 1, 1), (32, 64, 128, 256), 5, False),
}


class ResNet(Backbone):
    """A residual network (He et al. 2016) up to its last feature map.

    Its activations are not computed again for the gradient, because batch statistics would be counted twice.

    Args:
        shape: of the network.
        last_stride: of the last layer; 1, as re-identification has it since Luo et al. 2019, doubles the sides of
            the last map and changes no parameter.

    Attributes:
        width: channels C of the last map.
    """

    def __init__(self, shape: Shape, *, last_stride: int = 1) -> None:
        super().__init__()
        channels = shape.planes[0]
        self.conv1 = nn.Conv2d(3, channels, shape.kernel, stride=2, padding=shape.kernel // 2, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if shape.pooled else nn.Identity()
        strides = (1, 2, 2, last_stride)
        for number, (planes, blocks, stride) in enumerate(zip(shape.planes, shape.blocks, strides, strict=True), 1):
            setattr(self, f"layer{number}", _layer(shape.block, channels, planes, blocks, stride))
            channels = planes * shape.block.expansion
        self.width = channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @classmethod
    def build(cls, config: TrunkConfig, *, last_stride: int = 1) -> "ResNet":
        """Build the trunk that a configuration asks for, with its weights.

        Raises:
            UnknownNameError: for a name that is not that of a convolutional trunk, or a tag that there is not.
            UsageError: for settings of a vision transformer.
            DataError: when the weights cannot be had or do not fit.
        """
        if config.name not in SHAPES:
            raise UnknownNameError("convolutional trunk", config.name, SHAPES)
        for setting in ("stride", "layers"):
            if getattr(config, setting) is not None:
                raise UsageError(f"The trunk {config.name} has no patches and blocks; leave trunk.{setting} out.")
        network = cls(SHAPES[config.name], last_stride=last_stride)
        if config.pretrained is not None:
            load_resnet(network, weights_file(config), config.name)
        return network

    def parts(self) -> dict[str, nn.Module]:
        """Return all parts by name, in the order in which images pass them."""
        return dict(self.named_children())

    def forward(self, images: Tensor) -> Tensor:
        """Return the last feature map (B, C, h, w) of images (B, 3, H, W)."""
        maps = images.to(self.conv1.weight.dtype)
        for part in self.parts().values():
            maps = part(maps)
        return maps


class ForkedResNet(Backbone):
    """A residual network of which each sensor has the first parts for itself, all with the same weights at first.

    Args:
        network: is taken apart.
        sensors: of the dataset.
        border: the last part that each sensor has for itself; the stem is all before ``layer1``.

    Attributes:
        width: channels C of the last map.
        low_width: channels of the map at the border.
    """

    def __init__(self, network: ResNet, sensors: Modality, border: Border = "layer1") -> None:
        super().__init__()
        parts = network.parts()
        count = list(parts).index("layer1") + (border == "layer1")
        own = nn.Sequential()
        shared = nn.Sequential()
        for number, (name, part) in enumerate(parts.items()):
            (own if number < count else shared).add_module(name, part)
        self.stems = nn.ModuleDict({str(m): copy.deepcopy(own) for m in sensors})
        self.stages = shared
        self.width = network.width
        convolutions = [module for module in own.modules() if isinstance(module, nn.Conv2d)]
        self.low_width = convolutions[-1].out_channels

    def low(self, images: Tensor, sensor: Modality) -> Tensor:
        """Return the map at the border, (B, C', h', w'), of images (B, 3, H, W) of one sensor."""
        first: Any = self.stems[str(sensor)]
        maps: Tensor = first(images.to(first.conv1.weight.dtype))
        return maps

    def high(self, maps: Tensor) -> Tensor:
        """Return the last map, (B, C, h, w), of maps at the border, of whatever sensors."""
        last: Tensor = self.stages(maps)
        return last

    def forward(self, images: Tensor, sensor: Modality) -> Tensor:
        """Return the last feature map (B, C, h, w) of images (B, 3, H, W) of one sensor."""
        return self.high(self.low(images, sensor))


def _layer(block: Any, channels: int, planes: int, blocks: int, stride: int) -> nn.Sequential:
    """Return a row of blocks, the first of which changes the resolution and the number of channels."""
    width = planes * block.expansion
    downsample = None
    if stride != 1 or channels != width:
        downsample = nn.Sequential(nn.Conv2d(channels, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width))
    first = block(channels, planes, stride, downsample)
    return nn.Sequential(first, *(block(width, planes) for _ in range(blocks - 1)))
