"""The step of the PyTorch backend, which runs one operation at a time.

There are three ways. A variable on the CPU is stepped in place (`torch_cpu.py`); many
small variables of one shape follow the rules as the rows of one matrix; and the rest
follow them one by one, among them all that `torch.compile` sees, for it fuses them
(`torch_compiled.py`). `tests/test_torch.py` holds the ways together, step by step.
"""

from collections import defaultdict
from functools import partial

import torch

from keras_neuroplastic import rules
from keras_neuroplastic._steps import torch_compiled, torch_cpu

try:
    from keras.src.backend.common.stateless_scope import in_stateless_scope
except ImportError:  # no public name tells: never write in place then

    def in_stateless_scope():
        return True


# So many variables of one shape, with at most so many elements each, are cheaper
# copied into one matrix than stepped one by one.
FEWEST_ROWS = 16
SMALL = 2**10
MATRIX = 2**17  # elements that still fit the cache


def choose(optimizer, otherwise):
    """`step` where variables may be written over, or one that `torch.compile` sees."""
    if torch.compiler.is_compiling():
        return partial(torch_compiled.in_a_chain, optimizer)
    own = optimizer.rule is rules.step and optimizer._plasticity.residual is None
    return partial(step, optimizer) if own and not in_stateless_scope() else otherwise


@torch.no_grad()
def step(optimizer, gradients, variables, learning_rate):
    """Moves Keras variables and their slots as `optimizer.update_step` would."""
    groups = defaultdict(list)
    for gradient, variable in zip(gradients, variables, strict=True):
        index = optimizer._get_variable_index(variable)
        theta = variable._value
        kind = theta.shape, theta.dtype, theta.device, decay(optimizer, index)
        key = kind if theta.numel() <= SMALL else index
        groups[key].append((index, gradient, theta, variable))

    in_place = None  # only for the CPU: it reads numbers, for which a GPU would wait
    for group in groups.values():
        if len(group) >= FEWEST_ROWS:
            rows = MATRIX // max(group[0][2].numel(), 1)
            for start in range(0, len(group), rows):
                step_rows(optimizer, group[start : start + rows], learning_rate)
            continue
        for index, gradient, theta, variable in group:
            if theta.device.type == "cpu" and theta.is_contiguous():
                in_place = in_place or torch_cpu.Step(optimizer, learning_rate)
                traces = tensors(optimizer._slots(index))
                in_place.variable(gradient, theta, traces, decay(optimizer, index))
            else:
                optimizer.update_step(gradient, variable, learning_rate)


def decay(optimizer, index):
    return optimizer._constants(index)["weight_decay"]


def tensors(slots):
    # Not `value`: it asks for scopes, none of which a step in place may be in, and of
    # many small variables that would be a third of the time.
    return {name: slot._value for name, slot in slots.items()}


def step_rows(optimizer, group, learning_rate):
    """Steps variables of one shape as the rows of one matrix."""
    indices, gradients, thetas, _ = zip(*group, strict=True)
    shape = len(group), thetas[0].numel()
    slots = [tensors(optimizer._slots(index)) for index in indices]
    traces = {name: [slot[name] for slot in slots] for name in slots[0]}

    def matrix(members):
        return torch.stack(members).view(shape)

    new_theta, new = rules.step(
        optimizer._plasticity,
        matrix(thetas),
        {name: matrix(members) for name, members in traces.items()},
        matrix(gradients),
        learning_rate,
        axis=1,
        **optimizer._scheduled(),
        **optimizer._constants(indices[0]),
    )
    copies = [(thetas, new_theta), *((traces[name], new[name]) for name in traces)]
    for members, values in copies:
        torch._foreach_copy_(
            members, values.view(len(group), *thetas[0].shape).unbind()
        )
