"""The parts of a variable that a step in place works on, and memory to work in."""

from dataclasses import dataclass

import numpy as np
import torch

MOST = 64  # to remember, of ever other lists of variables


@dataclass
class Block:
    """A part of one variable, or the whole of it; `update` and `work` are scratch."""

    g: torch.Tensor
    theta: torch.Tensor
    before: torch.Tensor | None
    traces: dict
    update: torch.Tensor
    work: torch.Tensor


def take(scratch, name, like, dtype):
    """Scratch memory in the shape of `like`."""
    key, size = (name, dtype), like.numel()
    if key not in scratch or scratch[key].numel() < size:
        scratch.pop(key, None)  # so that never two are there
        # NumPy asks the system for huge pages, which come in half the time.
        zeros = np.zeros(size, str(dtype).removeprefix("torch."))
        scratch[key] = torch.from_numpy(zeros)
    return scratch[key].as_strided(like.shape, like.stride())


def remembered(kept, key, make):
    """What `make` makes, once for a key; all is forgotten where keys never repeat."""
    if key not in kept:
        if len(kept) > MOST:
            kept.clear()
        kept[key] = make()
    return kept[key]
