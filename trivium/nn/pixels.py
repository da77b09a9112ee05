"""A picture to the array that a vision tower reads, without torch: Pillow and NumPy.

The same numbers as the processors of `transformers`: CLIP's resize of the shorter side and centre
crop, SigLIP's squash to a square.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from trivium.errors import UsageError
from trivium.paths import atomic_write

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

CONFIG = "preprocessor_config.json"
BICUBIC = 3  # PIL.Image.Resampling
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True)
class Pixels:
    """How pictures become (3, size, size): `crop` keeps their proportions and loses their ends."""

    size: int
    crop: bool = True
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD
    resample: int = BICUBIC

    def prepare(self, image: "Picture") -> npt.NDArray[np.float32]:
        """(3, size, size), normalised by channel."""
        values = np.asarray(self.fit(to_rgb(image)), dtype=np.float32) / 255
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        normal = (values - mean) / std  # (size, size, 3)
        return np.ascontiguousarray(normal.transpose(2, 0, 1))

    def fit(self, image: "Picture") -> "Picture":
        """`image`, in RGB, at the size that the tower reads."""
        if not self.crop:
            return image.resize((self.size, self.size), self.resample)
        width, height = image.size
        short = min(width, height)
        # `int` and not `round`, as every published processor has it
        wide, high = int(self.size * width / short), int(self.size * height / short)
        left, top = (wide - self.size) // 2, (high - self.size) // 2
        resized = image.resize((wide, high), self.resample)
        return resized.crop((left, top, left + self.size, top + self.size))


def to_rgb(image: "Picture") -> "Picture":
    """`image` in RGB; what is transparent lies on white."""
    from PIL import Image

    if "A" in image.getbands() or image.info.get("transparency") is not None:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def load_pixels(folder: Path) -> Pixels:
    """What preprocessor_config.json says.

    Raises:
        UsageError: when it is not there, or says what this module does not do.
    """
    file = folder / CONFIG
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        return from_config(config)
    except OSError as error:
        raise UsageError(f"{folder} has no {CONFIG}, which says how pictures are read") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{file} cannot be meant: {error}") from error


def from_config(config: Mapping[str, Any]) -> Pixels:
    """A parsed preprocessor_config.json, of the old form with numbers or the new one.

    Raises:
        ValueError: for a step that is missing or a target that is no square.
    """
    if not all(config.get(f"do_{step}", True) for step in ("resize", "rescale", "normalize")):
        raise ValueError("pictures that are not resized, rescaled and normalised")
    if abs(config.get("rescale_factor", 1 / 255) - 1 / 255) > 1e-6:
        raise ValueError(f"a rescale factor of {config['rescale_factor']}, not 1/255")
    size = config["size"]
    crop = config.get("do_center_crop", "crop_size" in config)
    side = _side(config.get("crop_size", size) if crop else size)
    if crop and _side(size) != side:
        raise ValueError(f"pictures resized to {_side(size)} and cropped to {side}")
    mean, std = _three(config["image_mean"]), _three(config["image_std"])
    return Pixels(side, crop, mean, std, config.get("resample", BICUBIC))


def save_pixels(pixels: Pixels, folder: Path, kind: str) -> None:
    """Write preprocessor_config.json for a `kind` of "clip" or "siglip"."""
    side = {"height": pixels.size, "width": pixels.size}
    said = asdict(pixels)
    config = {
        "image_processor_type": "CLIPImageProcessor" if kind == "clip" else "SiglipImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": pixels.size} if pixels.crop else side,
        "resample": said["resample"],
        "do_center_crop": pixels.crop,
        **({"crop_size": side} if pixels.crop else {}),
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(said["mean"]),
        "image_std": list(said["std"]),
        "do_convert_rgb": True,
    }
    with atomic_write(folder / CONFIG) as file:
        file.write(json.dumps(config, indent=2).encode() + b"\n")


def _side(size: Any) -> int:
    if isinstance(size, int):
        return size
    if "shortest_edge" in size:
        return int(size["shortest_edge"])
    if size["height"] != size["width"]:
        raise ValueError(f"pictures of {size['width']} x {size['height']}, which is no square")
    return int(size["height"])


def _three(values: Sequence[float]) -> tuple[float, ...]:
    if len(values) != 3:
        raise ValueError(f"{len(values)} channels, not 3")
    return tuple(float(value) for value in values)
