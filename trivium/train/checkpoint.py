"""A run's state on the disk: each checkpoint a folder that appears whole or not at all.

Weights and the optimiser's moments are safetensors, the rest is JSON; no pickle.
"""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, optim

from trivium.errors import TriviumError, UsageError
from trivium.paths import ensure

KEPT = 2  # the newest checkpoints; the one before is there if the newest cannot be read
_NAME = re.compile(r"step-(\d+)")
_MOMENTS = "optimiser.safetensors"
_STATE = "state.json"


def save(
    folder: Path, step: int, write: Any, optimiser: optim.Optimizer, state: Mapping[str, Any]
) -> Path:
    """Write checkpoint `step`; `write(folder)` writes the model. Older ones beyond `KEPT` go.

    Raises:
        TriviumError: when the disk is full: what was there stays.
    """
    from safetensors.torch import save_file

    target = folder / f"step-{step:08d}"
    draft = ensure(folder / f".{target.name}.part")
    try:
        write(draft)
        save_file(_moments(optimiser), draft / _MOMENTS)
        (draft / _STATE).write_text(json.dumps({**state, "step": step}, indent=2))
        if target.exists():
            shutil.rmtree(target)
        draft.rename(target)
    except OSError as error:
        raise TriviumError(
            f"cannot write {target}: {error.strerror or error}; the checkpoint before it stays"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    for old in steps(folder)[:-KEPT]:
        shutil.rmtree(folder / f"step-{old:08d}")
    return target


def steps(folder: Path) -> list[int]:
    """The steps of all checkpoints, in order."""
    found = (_NAME.fullmatch(one.name) for one in folder.iterdir()) if folder.is_dir() else ()
    return sorted(int(match[1]) for match in found if match)


def newest(folder: Path) -> Path | None:
    found = steps(folder)
    return folder / f"step-{found[-1]:08d}" if found else None


def read_state(checkpoint: Path) -> dict[str, Any]:
    """What was saved beside the weights.

    Raises:
        UsageError: when it cannot be read.
    """
    try:
        found: dict[str, Any] = json.loads((checkpoint / _STATE).read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"the checkpoint {checkpoint} cannot be read: {error}") from error
    return found


def restore(checkpoint: Path, optimiser: optim.Optimizer) -> None:
    """Give `optimiser` the moments that it had."""
    from safetensors.torch import load_file

    held = load_file(checkpoint / _MOMENTS)
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    for number, parameter in enumerate(parameters):
        prefix = f"{number}."
        optimiser.state[parameter] = {
            name.removeprefix(prefix): value
            for name, value in held.items()
            if name.startswith(prefix)
        }


def _moments(optimiser: optim.Optimizer) -> dict[str, Tensor]:
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    return {
        f"{number}.{name}": value.contiguous()
        for number, parameter in enumerate(parameters)
        for name, value in optimiser.state[parameter].items()
    }
