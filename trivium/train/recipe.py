"""What a training run is made of: one YAML file, or the options of the command."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trivium.errors import UsageError
from trivium.nn.block import Shape
from trivium.nn.towers import ImageShape, TextShape
from trivium.nn.two_towers import Kind, TwoTowersShape
from trivium.train.pairs import TEMPLATES

Size = Literal["tiny", "small", "base"]
_SIZES: dict[Size, tuple[int, int, int, int, int, int, int]] = {
    # side, patch, width, layers of the pictures; width, layers, length of the texts
    "tiny": (32, 4, 128, 4, 128, 2, 16),
    "small": (112, 16, 384, 8, 256, 4, 32),
    "base": (224, 32, 768, 12, 512, 12, 77),
}
_HEAD = 32  # width of a head in the small ones; the published models have 64
Positive = Annotated[int, Field(ge=1)]


class ClipRecipe(BaseModel):
    """A CLIP from scratch. A key that is not known is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: Path
    """Where pictures and captions are; see `pairs.find_pairs`."""
    evaluate: Path | None = None
    """Class folders to classify zero-shot now and then."""
    size: Size = "tiny"
    loss: Kind = "clip"
    templates: tuple[str, ...] = TEMPLATES
    """The captions of class folders; {} is the class."""
    vocabulary: Annotated[int, Field(ge=514)] = 1024
    seed: int = 0
    steps: Positive = 2000
    batch: Annotated[int, Field(ge=2)] = 256
    micro_batch: Positive = 256
    """Computed at a time; the gradient is that of the whole batch."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    warmup: Annotated[int, Field(ge=0)] = 100
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    least_area: Annotated[float, Field(gt=0, le=1)] = 0.6
    """Of a picture, in the random part that is seen."""
    mirror: bool = True
    checkpoint_every: Positive = 200
    evaluate_every: Positive = 500

    def shape(self, vocabulary: int) -> TwoTowersShape:
        """The towers for so many tokens, the last of which ends a text."""
        side, patch, width, layers, text_width, text_layers, length = _SIZES[self.size]
        head = 64 if self.size == "base" else _HEAD
        clip = self.loss == "clip"

        def stack(wide: int, deep: int, *, causal: bool) -> Shape:
            scope: Literal["causal", "full"] = "causal" if causal else "full"
            return Shape(wide, deep, wide // head, 4 * wide, scope=scope)

        return TwoTowersShape(
            self.loss,
            ImageShape(
                stack(width, layers, causal=False), side, patch, "class" if clip else "attention"
            ),
            TextShape(
                stack(text_width, text_layers, causal=clip),
                vocabulary,
                length,
                vocabulary - 1,
                "end" if clip else "last",
            ),
            text_width if clip else width,
        )


def read_recipe(values: dict[str, Any]) -> ClipRecipe:
    """Checked values, of a file and of options together.

    Raises:
        UsageError: naming the key that is wrong.
    """
    try:
        return ClipRecipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"the recipe's {key}: {first['msg']}") from error
