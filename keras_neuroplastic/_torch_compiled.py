"""What `torch.compile` needs to be told of the rules, on a CPU.

Inductor computes a value anew in each loop that reads it, unless it has to be in
memory; and it begins with the loops of all variables and moves them last, when all of
their updates are in memory. Told which values to store, it makes the three sweeps of
`_torch_cpu.py`, each one loop, and told to wait, it has memory for one update at once.
"""

import torch

# Elements of a variable whose scratch memory is worth waiting for.
LARGE = 2**17


def stored(x):
    """A copy of x that is in memory, where `torch.compile` makes a step for the CPU.

    x itself is computed anew where it is read.
    """
    if not torch.compiler.is_compiling() or x.device.type != "cpu":
        return x
    # Strides are those of memory. The signs keep the copy apart from x, which would
    # else be in memory as well.
    return torch.as_strided(x.neg().neg(), x.shape, x.stride())


def step(optimizer, gradients, variables, learning_rate):
    """Calls `optimizer.update_step` for each variable, the large ones in a chain."""
    last = None
    for gradient, variable in zip(gradients, variables, strict=True):
        if gradient.numel() >= LARGE and gradient.device.type == "cpu":
            if last is not None:
                gradient = gradient + zero_after(last[(0,) * last.ndim])
            optimizer.update_step(gradient, variable, learning_rate)
            last = variable.value.detach()
        else:
            optimizer.update_step(gradient, variable, learning_rate)


@torch.library.custom_op("keras_neuroplastic::zero_after", mutates_args=())
def zero_after(done: torch.Tensor) -> torch.Tensor:
    """0, once the number `done` is computed. The compiler cannot look inside."""
    return torch.zeros_like(done)


@zero_after.register_fake
def _(done):
    return torch.empty_like(done)
