"""The step of the PyTorch backend, which runs one operation at a time.

There are four ways. A variable on the CPU is stepped in place (`torch_cpu.py`), all
variables on a GPU are together (`torch_cuda.py`); elsewhere many small variables of one
shape follow the rules as the rows of one matrix; and the rest follow them one by one,
among them all that `torch.compile` sees, for it fuses them (`torch_compiled.py`).
`tests/test_torch.py` holds the ways together, step by step.
"""

from collections import defaultdict
from functools import partial

import torch

from keras_neuroplastic import modulation, rules
from keras_neuroplastic._dtypes import step_dtype
from keras_neuroplastic._steps import (
    torch_compiled,
    torch_cpu,
    torch_cuda,
    torch_cuda_modulated,
    torch_modulated,
    torch_statistics,
)
from keras_neuroplastic._steps.torch_cuda_statistics import collect_waiting

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
        watched = optimizer.collects_statistics
        chain = torch_compiled.watched_chain if watched else torch_compiled.in_a_chain
        return partial(chain, optimizer)
    return otherwise if in_stateless_scope() else partial(step, optimizer)


@torch.no_grad()
def collect(optimizer):
    """Adds what was seen of a step to the statistics."""
    # What waits of steps before it comes first, but for a sample of α that is not the
    # last where compiled steps follow on others, unread.
    if not (torch.compiler.is_compiling() or in_stateless_scope()):
        collect_waiting(optimizer)
    if counts_by_numpy(optimizer):
        torch_statistics.collect(optimizer)
        return
    kept, device = vars(optimizer), optimizer._totals._value.device
    weights = kept.get("_weights_there")
    if weights is None:
        weights = torch.as_tensor(optimizer._weights, device=device)
        if not torch.compiler.is_compiling():  # to be copied to a GPU once
            kept["_weights_there"] = weights
    optimizer.collect_step(weights)


def counts_by_numpy(optimizer):
    if torch.compiler.is_compiling() or in_stateless_scope():
        return False
    return may_be_written_over(optimizer._totals._value)


def together(optimizer):
    """What updates all variables of a GPU, or None where the rules do."""
    p = optimizer._plasticity
    if optimizer.rule is rules.step and not p.residual:
        return torch_cuda.update
    if optimizer.rule is modulation.step and not p.stabilizes:
        return torch_cuda_modulated.update
    return None


def has_lists(theta):
    """Whether PyTorch has kernels for lists of such tensors, and not loops."""
    return theta.is_cuda


def in_place(optimizer):
    """The class that steps variables on the CPU, or None where the rules do."""
    p = optimizer._plasticity
    if optimizer.rule is rules.step and not p.residual:
        return torch_cpu.Step
    if optimizer.rule is modulation.step and not p.stabilizes:
        return torch_modulated.ModulatedStep
    return None


@torch.no_grad()
def keep_values(optimizer, variables):
    """Copies of the values of variables, in memory that is kept from step to step."""
    if torch.compiler.is_compiling() or in_stateless_scope():
        return [variable.value.detach().clone() for variable in variables]
    values = [variable._value for variable in variables]  # as in `tensors`
    kept = optimizer.__dict__.setdefault("_kept_values", {})
    for variable, value in zip(variables, values, strict=True):
        if id(variable) not in kept or kept[id(variable)].dtype != value.dtype:
            kept[id(variable)] = torch.empty_like(value)
    copies = [kept[id(variable)] for variable in variables]
    torch._foreach_copy_(copies, values)
    return copies


@torch.no_grad()
def step(optimizer, gradients, variables, learning_rate, *others):
    """Moves Keras variables and their slots as `optimizer.update_step` would."""
    groups, lists = defaultdict(list), defaultdict(list)
    update = together(optimizer)
    of_one_trace = next(iter(optimizer._lists.values()), None)
    for arrays in zip(gradients, variables, *others, strict=True):
        gradient, variable, *other = arrays
        index = optimizer._get_variable_index(variable)
        theta, key = variable._value, index
        if of_one_trace and is_alien(theta, of_one_trace[optimizer._row(index)]):
            optimizer.update_step(gradient, variable, learning_rate, *other)
            continue
        if update and has_lists(theta):
            if theta.numel():
                key = theta.device, step_dtype(theta.dtype)
                lists[key].append((index, theta, gradient, *other))
            continue
        if theta.numel() <= SMALL:
            constants = id(optimizer._constants(index))
            key = theta.shape, theta.dtype, theta.device, constants
        groups[key].append((index, theta, *arrays))

    for group in lists.values():
        torch_cuda.step(optimizer, group, learning_rate, update)
    cpu_step = None  # only for the CPU: it reads numbers, for which a GPU would wait
    make = in_place(optimizer)
    for group in groups.values():
        if len(group) >= FEWEST_ROWS:
            rows = MATRIX // max(group[0][1].numel(), 1)
            for start in range(0, len(group), rows):
                step_rows(optimizer, group[start : start + rows], learning_rate)
            continue
        for index, theta, gradient, variable, *other in group:
            if make and may_be_written_over(theta, *other):
                cpu_step = cpu_step or make(optimizer, learning_rate)
                traces = tensors(optimizer._slots(index))
                constants = optimizer._constants(index)
                arguments = optimizer._row(index), gradient, theta, traces, *other
                cpu_step.variable(*arguments, **constants)
            else:
                optimizer.update_step(gradient, variable, learning_rate, *other)
    if cpu_step and cpu_step.watch and cpu_step.watch.stepped:
        optimizer._seen.append(cpu_step.watch.seen(cpu_step.numbers["scale"]))


def is_alien(theta, trace):
    """Whether a module's `double()` has changed a dtype since the slots were made."""
    return (theta.dtype == torch.float64) != (trace._value.dtype == torch.float64)


def may_be_written_over(theta, *others):
    # What was in 16 bits before is subtracted in 32.
    exact = not others or theta.dtype.itemsize > 2
    return exact and theta.device.type == "cpu" and theta.is_contiguous()


def tensors(slots):
    # Not `value`: it asks for scopes, none of which a step in place may be in, and of
    # many small variables that would be a third of the time.
    return {name: slot._value for name, slot in slots.items()}


def step_rows(optimizer, group, learning_rate):
    """Steps variables of one shape as the rows of one matrix."""
    indices, thetas, gradients, _, *others = zip(*group, strict=True)
    slots = [tensors(optimizer._slots(index)) for index in indices]
    traces = {name: [slot[name] for slot in slots] for name in slots[0]}

    def matrix(members):
        return torch.stack(members).view(len(group), members[0].numel())

    new_theta, new, seen = optimizer.rule(
        optimizer._plasticity,
        matrix(thetas),
        {name: matrix(members) for name, members in traces.items()},
        matrix(gradients),
        *(matrix(members) for members in others),
        eta=learning_rate,
        axis=1,
        watched=optimizer.grid(indices[0]),
        **optimizer._scheduled(),
        **optimizer._constants(indices[0]),
    )
    if seen is not None:
        optimizer.see(indices, seen)
    copies = [(thetas, new_theta), *((traces[name], new[name]) for name in traces)]
    for members, values in copies:
        torch._foreach_copy_(
            members, values.view(len(group), *members[0].shape).unbind()
        )
