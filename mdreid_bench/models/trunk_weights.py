"""Visual towers of open_clip by name, with weights from a tag, a file or the package itself."""

from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mdreid_bench.config.schema import TrunkConfig
from mdreid_bench.errors import DataError
from mdreid_bench.models.download import download, quiet_logging
from protocols.names import UnknownNameError

BUNDLED_TAG = "synthetic"
_SMALL_TEXT = {"context_length": 8, "vocab_size": 16, "width": 32, "heads": 1, "layers": 1}


def visual_tower(config: TrunkConfig) -> nn.Module:
    """Return an open_clip vision transformer with the weights that ``config`` asks for, float32 on the CPU.

    Raises:
        UnknownNameError: for a model name or tag that open_clip does not know.
        DataError: when the weights cannot be had or do not fit.
    """
    import open_clip

    with quiet_logging():
        if config.name not in open_clip.list_models():
            for file in resources.files("mdreid_bench.models").joinpath("trunks").iterdir():
                with resources.as_file(file) as path:
                    open_clip.add_model_config(path)
        if config.name not in open_clip.list_models():
            raise UnknownNameError("trunk", config.name, open_clip.list_models())
        model = open_clip.create_model(config.name, load_weights=False, text_cfg=_SMALL_TEXT)
    visual: nn.Module = model.visual
    if not hasattr(visual, "class_embedding"):
        raise DataError(
            f"The trunk {config.name} is not a vision transformer with a class token; choose a ViT model."
        )
    if config.pretrained is not None:
        load_visual(visual, weights_file(config))
    return visual


def weights_file(config: TrunkConfig) -> Path:
    """Return the local file that holds the weights, downloading an open_clip tag when it is not cached.

    Raises:
        UnknownNameError: when ``pretrained`` is neither a file nor a tag of this model.
        DataError: when the download fails.
    """
    import open_clip

    local = local_weights(config)
    if local is not None:
        return local
    tag = config.pretrained or ""
    tags = open_clip.list_pretrained_tags_by_model(config.name)
    known = open_clip.get_pretrained_cfg(config.name, tag)
    if not known:
        raise UnknownNameError(f"weights tag or file for {config.name}", tag, tags or [BUNDLED_TAG])
    try:
        return download(known)
    except Exception as error:
        raise DataError(
            f"The weights {config.name}/{tag} are not cached and could not be downloaded "
            f"({type(error).__name__}); pass a local copy with --set trunk.pretrained=/path/to/weights.pt, "
            "or use --preset tiny."
        ) from None


def local_weights(config: TrunkConfig) -> Path | None:
    """Return the weights file if ``pretrained`` is a path or weights shipped with the package, else None."""
    tag = config.pretrained
    if tag is None:
        return None
    if Path(tag).is_file():
        return Path(tag)
    bundled = resources.files("mdreid_bench.models").joinpath("weights", f"{config.name}-{tag}.safetensors")
    if not bundled.is_file():
        return None
    with resources.as_file(bundled) as path:
        return path


def load_visual(visual: nn.Module, path: Path) -> None:
    """Load a CLIP checkpoint or a bare visual tower into ``visual``, every name and shape checked.

    Raises:
        DataError: when the file is unreadable, or lists what is missing, unexpected or misshapen.
    """
    state = read_state(path)
    if any(name.startswith("visual.") for name in state):
        state = {name.removeprefix("visual."): value for name, value in state.items() if name.startswith("visual.")}
    own = visual.state_dict()
    missing = sorted(own.keys() - state.keys())
    unexpected = sorted(state.keys() - own.keys())
    misshapen = sorted(n for n in own.keys() & state.keys() if own[n].shape != state[n].shape)
    if missing or unexpected or misshapen:
        faults = [
            f"{kind}: {', '.join(names[:10])}{' ...' if len(names) > 10 else ''}"
            for kind, names in (("missing", missing), ("unexpected", unexpected), ("misshapen", misshapen))
            if names
        ]
        raise DataError(f"The weights {path} do not fit the trunk ({'; '.join(faults)}).")
    visual.load_state_dict({name: value.float() for name, value in state.items()})


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict from safetensors, a TorchScript archive or a pickle of tensors, without running code in it.

    Raises:
        DataError: when the file cannot be read that way.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content: Any = _load_torch(path)
    except (OSError, RuntimeError, SafetensorError, ValueError, KeyError, EOFError) as error:
        raise DataError(f"The weights file {path} cannot be read ({type(error).__name__}).") from None
    except Exception as error:
        raise DataError(
            f"The weights file {path} is refused: it holds more than tensors ({type(error).__name__})."
        ) from None
    if isinstance(content, dict):
        for key in ("state_dict", "model"):
            content = content.get(key, content)
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise DataError(f"The weights file {path} does not hold a state dict of tensors.")
    return {str(name).removeprefix("module."): value for name, value in content.items()}


def _load_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except RuntimeError as error:
        if "TorchScript" not in str(error):
            raise
    archive: nn.Module = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    state = archive.state_dict()
    return {name: value for name, value in state.items() if value.ndim or name == "logit_scale"}
