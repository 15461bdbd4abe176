"""The order of the steps that `torch.compile` makes for a CPU.

Inductor begins with the loops of all variables and moves them last, when all of their
updates are in memory. Told which values to store (`_sums/torch.py`), it makes the
three sweeps of `torch_cpu.py`, each one loop, and told to wait, it has memory for one
update at once.
"""

import torch

# Elements of a variable whose scratch memory is worth waiting for.
LARGE = 2**17


def in_a_chain(optimizer, gradients, variables, learning_rate, *others):
    """Calls `optimizer.update_step` for each variable, the large ones in a chain."""
    last = None
    for gradient, variable, *other in zip(gradients, variables, *others, strict=True):
        large = gradient.numel() >= LARGE and gradient.device.type == "cpu"
        if large and last is not None:
            gradient = gradient + zero_after(last[(0,) * last.ndim])
        optimizer.update_step(gradient, variable, learning_rate, *other)
        if large:
            last = variable.value.detach()


@torch.no_grad()
def watched_chain(*arguments):
    """The same where what was seen goes into variables: not to be differentiated."""
    in_a_chain(*arguments)


@torch.library.custom_op("keras_neuroplastic::zero_after", mutates_args=())
def zero_after(done: torch.Tensor) -> torch.Tensor:
    """0, once the number `done` is computed. The compiler cannot look inside."""
    return torch.zeros_like(done)


@zero_after.register_fake
def _(done):
    return torch.empty_like(done)
