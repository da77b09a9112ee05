"""One process, or several that torchrun started: what they add up and what they show each other."""

import os
from collections.abc import Iterable

import torch
from torch import Tensor, distributed


def join() -> None:
    """Meet the other processes, where torchrun says that there are any; by gloo, on CPUs too."""
    if "RANK" in os.environ and not distributed.is_initialized():
        distributed.init_process_group("gloo")


def leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def rank() -> int:
    return distributed.get_rank() if distributed.is_initialized() else 0


def count() -> int:
    return distributed.get_world_size() if distributed.is_initialized() else 1


def part(rows: int) -> slice:
    """This process's share of a batch of `rows`, which `count()` divides."""
    share = rows // count()
    return slice(rank() * share, (rank() + 1) * share)


def gather(values: Tensor) -> Tensor:
    """All processes' `values` in their order: (B, ...) of each to (count · B, ...)."""
    if count() == 1:
        return values
    every = [torch.empty_like(values) for _ in range(count())]
    distributed.all_gather(every, values.contiguous())
    return torch.cat(every)


def add(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor by its sum over all processes, in one message."""
    if count() == 1:
        return
    held = list(tensors)
    flat = torch.cat([one.reshape(-1) for one in held])
    distributed.all_reduce(flat)
    for one, summed in zip(held, flat.split([one.numel() for one in held]), strict=True):
        one.copy_(summed.view_as(one))


def wait() -> None:
    if count() > 1:
        distributed.barrier()
