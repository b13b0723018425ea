"""What the pretraining sees: single RGB images, each with a caption of what is where in it.

Every image is that of an object of its own, drawn once, by one sensor. There is no second image of an object, so
nothing could tell which images belong together, and a caption says what can be seen, never who it is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.data.synthetic.draw import Rng, draw_camera, draw_identity, draw_scene, stream
from mdreid_bench.data.synthetic.latents import Kind, Part, Shape
from mdreid_bench.data.synthetic.raster import SUPERSAMPLING, part_map
from mdreid_bench.data.synthetic.render import render
from protocols.modality import Modality

NAMESPACE = "trunk-pretraining"
"""Namespace of all random streams of the pretraining; no dataset uses it, so no dataset contains its objects."""
PATCH = 16
"""Side of the fields whose parts are named, in pixels: a patch of the small vision transformer."""
SIZES: dict[Kind, tuple[tuple[int, int], ...]] = {"person": ((128, 64), (96, 48)), "vehicle": ((64, 128), (48, 96))}
"""Heights and widths of the images: half and three eighths of those on disk."""
_GREY, _INVERTED, _GAMMA = 0.5, 0.3, 0.35
"""Share of images made a random mixture of their channels, share made a negative, spread of log gamma."""
_IN_SIGHT = 0.005
"""Least share of an image by which a part is in sight."""


@dataclass(frozen=True)
class Sample:
    """One image and its caption.

    Attributes:
        image: (H, W, 3) uint8, RGB or a photographic change of it.
        fields: (rows * columns, parts) share of each part in each field of the image; rows sum to 1.
        shares: (parts,) share of each part in the image.
        colours: (parts, 3) red, green and blue of each part, 0..1; meaningless where ``coloured`` is False.
        coloured: (parts,) whether the part is in sight and the image in its own colours.
        words: (words,) which of ``WORDS`` describe the object and the photograph.
        told: (words,) False for words of the object that a hidden part would bear out.
        view: cosine and sine of where the camera stands around the object.
    """

    image: NDArray[np.uint8]
    fields: NDArray[np.float32]
    shares: NDArray[np.float32]
    colours: NDArray[np.float32]
    coloured: NDArray[np.bool_]
    words: NDArray[np.float32]
    told: NDArray[np.bool_]
    view: NDArray[np.float32]


def draw_sample(kind: Kind, split: str, number: int, size: tuple[int, int]) -> Sample:
    """Draw an object that is seen once, and describe its image.

    Args:
        kind: person or vehicle.
        split: ``train``, or ``held-out`` for what is measured on.
        number: of the random stream; the caption does not know it.
        size: (height, width) in pixels, multiples of ``PATCH``.
    """
    rng = stream(NAMESPACE, 0, kind, split, number)
    identity, camera = draw_identity(kind, rng), draw_camera(kind, rng)
    scene = draw_scene(kind, rng)
    frame = int(rng.integers(2**62))
    labels = part_map(identity, camera, np.random.default_rng(frame), *size)
    image = render(identity, camera, scene, np.random.default_rng(frame), size, Modality.R)[Modality.R]
    image, changes = _changed(image, rng)
    fields = _fields(labels)
    shares = fields.mean(axis=0)
    angle = 2 * np.pi * camera.azimuth
    painted = identity.materials[:, :3].any(axis=1)
    seen = {_word(shape) for shape in identity.shapes if shares[shape.part] > _IN_SIGHT}
    hidden = {_word(shape) for shape in identity.shapes} - seen
    said = seen | changes | {kind} | ({"night"} if scene.night else set())
    return Sample(
        image=image,
        fields=fields,
        shares=shares,
        colours=identity.materials[:, :3],
        coloured=(shares > _IN_SIGHT) & painted & (not changes),
        words=np.array([word in said for word in WORDS], dtype=np.float32),
        told=np.array([word not in hidden for word in WORDS]),
        view=np.array((np.cos(angle), np.sin(angle)), dtype=np.float32),
    )


def _word(shape: Shape) -> str:
    return f"{shape.part.name.lower()}: {shape.word}"


def _changed(image: NDArray[np.uint8], rng: Rng) -> tuple[NDArray[np.uint8], set[str]]:
    """Return the image with another gamma, perhaps in grey or as a negative, and which of these two it is."""
    grey, inverted = bool(rng.random() < _GREY), bool(rng.random() < _INVERTED)
    values = image / np.float32(255)
    if grey:
        values = np.repeat((values @ rng.dirichlet(np.ones(3)).astype(np.float32))[..., None], 3, axis=2)
    values = values ** np.float32(np.exp(rng.normal(0, _GAMMA)))
    if inverted:
        values = 1 - values
    changes = {word for word, done in (("grey", grey), ("negative", inverted)) if done}
    return np.rint(values * 255).astype(np.uint8), changes


def _fields(labels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Count the parts in each field of a map that is larger than the image by the supersampling."""
    side = PATCH * SUPERSAMPLING
    rows, columns = labels.shape[0] // side, labels.shape[1] // side
    split = labels.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(rows * columns, side * side)
    keyed = split + len(Part) * np.arange(rows * columns)[:, None]
    counts = np.bincount(keyed.ravel(), minlength=rows * columns * len(Part))
    return (counts.reshape(rows * columns, len(Part)) / side**2).astype(np.float32)


def _vocabulary() -> tuple[str, ...]:
    """Return all words that any of a number of objects is described by, and those of photographs."""
    objects = (draw_identity(kind, stream(NAMESPACE, 0, "words", i)) for i in range(200) for kind in SIZES)
    words = {_word(shape) for identity in objects for shape in identity.shapes if shape.word}
    return (*sorted(words), *SIZES, "night", "grey", "negative")


WORDS = _vocabulary()
"""What a caption may say, in the order of ``Sample.words``."""
