"""Numbers that PyTorch takes as they are, and what its compiler is to keep in memory.

As tensors, which Keras would make of them, they were copied to a GPU, and each copy
waits for all that was launched before.

Inductor computes a value anew in each loop that reads it, unless it has to be in
memory.
"""

import torch


def clip(x, low, high):
    """x within limits, rounded to its dtype."""
    return torch.clamp(x, low, high)


def where(condition, x, y):
    """x where the condition holds, else y, which may be a number."""
    if isinstance(condition, bool):  # of a learning rate that a function returned
        return x if condition else y
    return torch.where(condition, x, y)


def stored(x):
    """A copy of x that is in memory, where `torch.compile` makes a step for the CPU.

    x itself is computed anew where it is read.
    """
    if not torch.compiler.is_compiling() or x.device.type != "cpu":
        return x
    # Strides are those of memory. The signs keep the copy apart from x, which would
    # else be in memory as well.
    return torch.as_strided(x.neg().neg(), x.shape, x.stride())
