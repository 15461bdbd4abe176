"""The traces of a block, moved by kernels that PyTorch has for its own optimizers.

A kernel passes the block once where the operations of `rules.py` pass it several times.
"""

import torch

from keras_neuroplastic import _dtypes

LARGEST = {getattr(torch, name): value for name, value in _dtypes.LARGEST.items()}
# As many steps of Adam as make its bias corrections vanish.
FOREVER = torch.tensor(float("inf"))
# How many squares are added in float32: some processors lose a digit with four times as
# many, and two with a million.
ADDED = 2**16


def activity(block, magnitude, weight, rule):
    """Moves a and adds `weight` times it to `update`: SGD with momentum."""
    a = block.traces["activity"]
    if not rule.activity_decay:  # the kernel moves nothing without momentum
        block.update.add_(a.copy_(magnitude), alpha=weight)
        return
    torch._fused_sgd_(
        [block.update],
        [magnitude],
        [a],
        lr=-weight,
        momentum=rule.activity_decay,
        dampening=rule.activity_decay,
        weight_decay=0.0,
        nesterov=False,
        maximize=False,
        is_first_step=False,
    )


def memory(block, rule):
    """Moves m and v and leaves m / (√v + ε) in `update`: AdamW.

    Its weight decay takes all away that was in `update` before, if that was finite.
    """
    torch._fused_adamw_(
        [block.update],
        [block.g],
        [block.traces["momentum"]],
        [block.traces["variance"]],
        [],
        [FOREVER],
        lr=-1.0,
        weight_decay=-1.0,
        beta1=rule.beta_1,
        beta2=rule.beta_2,
        eps=rule.epsilon,
        amsgrad=False,
        maximize=False,
    )


def unfused_memory(block, rule):
    """The same for gradients of any size, whose squares may overflow."""
    g, m, v = block.g, block.traces["momentum"], block.traces["variance"]
    m.mul_(rule.beta_1).add_(g, alpha=1 - rule.beta_1)
    squared = torch.square(g, out=block.update).clamp_max_(LARGEST[v.dtype])
    v.mul_(rule.beta_2).add_(squared, alpha=1 - rule.beta_2)
    root = torch.sqrt(v, out=block.update).add_(rule.epsilon)
    torch.div(m, root, out=block.update)


def square(x):
    """‖x‖² of a flat tensor, as a float."""
    return sum(torch.dot(part, part).item() for part in x.split(ADDED))


def norm(x):
    """‖x‖ as a float, whatever the size of the elements."""
    x = x.reshape(-1)
    x = x.float() if x.dtype.itemsize == 2 else x
    found = square(x)
    if 1e-20 < found < 1e30:
        return found**0.5
    return torch.linalg.vector_norm(x, dtype=torch.float64).item()
