"""What a method says of the pretrained networks that it is built on."""

from collections.abc import Iterator

from torch import Tensor, nn

from mdreid_bench.config.schema import UntrainedCameras
from mdreid_bench.errors import UsageError


class Backbone(nn.Module):
    """A pretrained network; training and extraction treat it by what is declared here, whatever its class.

    ``compile``, which every module of torch has, is called where the user asks for it; a backbone whose work is not
    done in ``forward`` overrides it.

    Attributes:
        token_width: size of the vectors that its matrix products work on; decides whether half precision pays on a
            CPU, where 0 stands for no.
    """

    token_width: int = 0

    def pretrained(self) -> Iterator[nn.Parameter]:
        """Yield the parameters that are trained at the rate of pretrained ones: all, unless overridden."""
        yield from self.parameters()

    def settle_cameras(self, trained: Tensor, how: UntrainedCameras = "mean") -> None:
        """Give cameras that took no training image what they need to be tested; nothing, unless overridden.

        ``trained`` says (cameras,) bool whether a camera took any.
        """

    def leave_cameras_out(self) -> None:
        """Represent images of all cameras alike, also in training; nothing, unless overridden."""

    def set_checkpointing(self, on: bool) -> None:
        """Let training compute activations again instead of keeping them.

        Raises:
            UsageError: when that is asked for and not offered.
        """
        if on:
            raise UsageError(
                f"{type(self).__name__} cannot compute its activations again; leave memory.checkpointing out."
            )
