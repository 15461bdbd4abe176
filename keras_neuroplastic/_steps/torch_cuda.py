"""The rules once more, for all variables of a GPU together.

A GPU is done with most variables before Python has launched the next operation, and a
number that is copied to it waits for all before. So each operation here is of all
variables, mostly one of PyTorch's `_foreach` operations on lists of tensors; the few
numbers of a variable are elements of vectors on the device, which `rules.py` takes for
variables; and Python reads none of them. Scratch memory is three copies of the
variables, one more where κ is not 1, and one of what is in 16 bits or in another
memory order.
"""

import math

import keras
import torch
from keras import ops

from keras_neuroplastic import rules
from keras_neuroplastic._dtypes import saturate, step_dtype
from keras_neuroplastic._steps.torch_cuda_statistics import Watch
from keras_neuroplastic._steps.torch_kernels import LARGEST
from keras_neuroplastic._steps.torch_lists import (
    copied,
    dense,
    lengths,
    memory_like,
    put_back,
    scaled,
)
from keras_neuroplastic._steps.torch_scratch import remembered

# The largest numbers below 1, and as many steps of Adam as make their powers vanish.
BELOW_ONE = {torch.float32: 1 - 2.0**-24, torch.float64: 1 - 2.0**-53}
FOREVER = math.inf
# κ of a schedule is no number here. Up to this one α g overflows nowhere.
SCHEDULED = 64.0


def step(optimizer, members, learning_rate, update):
    """Moves variables of one device and one dtype of the step, and their slots.

    Of each, `members` has the index, the tensor, the gradient and what else `update`
    takes, which is one of the rules as a function of lists, that moves them.
    """
    indices, thetas, gradients, *others = zip(*members, strict=True)
    p, device = optimizer._plasticity, thetas[0].device
    name = step_dtype(thetas[0].dtype)
    dtype = getattr(torch, name)
    rows = [optimizer._row(index) for index in indices]
    slots = [optimizer._lists[name] for name in p.slot_names]
    moving = [thetas, *([slot[row]._value for row in rows] for slot in slots)]
    constants = [optimizer._constants(index) for index in indices]
    constants = {k: [c[k] for c in constants] for k in constants[0]}

    def number(value):  # as in the rules, or on the device: Keras 3.10 does not move it
        plain = isinstance(value, (float, type(None)))
        return value if plain else ops.convert_to_tensor(value, name).to(device)

    copies = [dense(tensors, dtype) for tensors in moving]
    traces = dict(zip(p.slot_names, copies[1:], strict=True))
    further = [dense(tensors, dtype) for tensors in (gradients, *others)]
    with keras.device(str(device)):  # or `ops` would move numbers to another GPU
        numbers = {k: number(v) for k, v in optimizer._scheduled().items()}
        eta = ops.convert_to_tensor(learning_rate, name).to(device)
        watch = None
        if optimizer.collects_statistics:
            watch = Watch(optimizer, rows)
        options = {"eta": eta, "watch": watch, **numbers, **constants}
        options["sizes"] = sizes_of(optimizer, tuple(rows), copies[0])
        update(p, copies[0], traces, *further, **options)
    for tensors, moved in zip(moving, copies, strict=True):
        put_back(tensors, moved)


def update(
    p, theta, traces, g, eta, scale, weight_decay, sizes, watch, residual_strength=None
):
    """`rules.step`, but for residual forms."""
    if not p.skip_nonfinite:
        return move(p, theta, traces, g, eta, scale, weight_decay, sizes, watch)
    largest = torch.stack(torch._foreach_norm(g, math.inf))
    finite = torch.isfinite(largest).to(largest.dtype)
    if watch:
        watch.moved = finite
    lists = [theta, *traces.values()]
    before = [copied(tensors)[1] for tensors in lists]
    flat, g = copied(g)
    flat.nan_to_num_(0.0, 0.0, 0.0)  # for a NaN would survive a product with 0
    move(p, theta, traces, g, eta, scale, weight_decay, sizes, watch)
    for tensors, old in zip(lists, before, strict=True):
        _, chosen = scaled(finite, tensors)
        torch._foreach_addcmul_(chosen, (1 - finite).unbind(), old)
        torch._foreach_copy_(tensors, chosen)


def move(p, theta, traces, g, eta, scale, weight_decay, sizes, watch):
    """The same of gradients that are finite, or make NaN of their variables."""
    found = signals(traces, g, sizes, p, watch)
    if eta.dtype == torch.float64 and p.stabilizes:
        # As in the rules, for nothing is wider to sum the squares of u in.
        _, h = scaled(found.gains[0], g)
        small, unit = 1.0, found.means[0] + p.epsilon
    else:  # a product with α times `small` is finite
        largest = scale if isinstance(scale, float) else SCHEDULED
        exponent = math.frexp(p.max_alpha * max(largest, 1.0))[1]
        h, small = g, 2.0 ** -min(max(exponent, 0), 64)
        unit = 1 / small
    if p.per_parameter:
        alpha, u = plasticity(found, p, scale, small)
        if watch:
            watch.alpha = watch.sample(alpha) / small
        torch._foreach_mul_(u, h)
    else:
        alpha = rules.plasticity(found, p, scale)
        if watch:
            watch.alpha = alpha
        _, u = scaled(alpha, h, small)
    stable = rules.Stabilized(None, None, unit, False, 1.0)
    if p.stabilizes:
        stable = rules.stabilizing(lengths(u), unit, sizes, p)
    elif watch:
        stable = stable._replace(length=lengths(u))
    if watch:
        watch.see(found, stable, unit, eta, g, theta)
    decayed = [x for x, decay in zip(theta, weight_decay, strict=True) if decay]
    if decayed:
        etas = [eta] * len(decayed)
        torch._foreach_addcmul_(decayed, etas, decayed, value=-max(weight_decay))
    factor = (eta * stable.factor).to(eta.dtype).expand_as(sizes)
    torch._foreach_addcmul_(theta, factor.unbind(), u, value=-1.0)


def signals(traces, g, sizes, p, watch=None):
    """Moves the traces; the signals, as in `rules.py`, of all variables."""
    magnitude = watch.see_magnitude(g) if watch else torch._foreach_abs(g)
    values = [magnitude]
    if "activity" in traces:
        torch._foreach_lerp_(traces["activity"], magnitude, 1 - p.activity_decay)
        values.append(traces["activity"])
    if "momentum" in traces:
        torch._foreach_lerp_(traces["momentum"], g, 1 - p.beta_1)
        values.append(memory(magnitude, traces["momentum"], traces["variance"], p))
    sums = torch._foreach_norm([x for value in values for x in value], 1)
    means = saturate(torch.stack(sums).view(len(values), len(g)) / sizes)
    return rules.Signals(values, means, (means + p.epsilon).reciprocal().unbind())


def memory(magnitude, m, v, p):
    """Moves v; |m| / (√v + ε), by the kernel of AdamW.

    It finds |m| moved already and leaves it there but for a rounding of |g|, whose
    squares it knows to be finite. It reads |g| from where it writes: with this decay
    all is taken away that was there.
    """
    dtype, device = m[0].dtype, m[0].device
    ratio = torch._foreach_clamp_max(magnitude, LARGEST[dtype] ** 0.5)
    torch._fused_adamw_(
        ratio,
        ratio,
        torch._foreach_abs(m),
        v,
        [],
        [torch.full((), FOREVER, dtype=torch.float32, device=device)] * len(m),
        lr=-1.0,
        weight_decay=-1.0,
        beta1=BELOW_ONE[dtype],
        beta2=min(p.beta_2, BELOW_ONE[dtype]),
        eps=p.epsilon,
        amsgrad=False,
        maximize=False,
    )
    return ratio


def plasticity(found, p, scale, small=1.0):
    """α of all elements, times `small`: in one piece of memory, and its parts."""
    limits = p.min_alpha * small, p.max_alpha * small
    flat, alpha = memory_like(found.values[0], torch.zeros)
    for x, weight, gain in zip(
        found.values, p.signal_weights, found.gains, strict=True
    ):
        torch._foreach_addcmul_(alpha, gain.unbind(), x, value=small * weight)
    flat.clamp_(*limits)
    if not (isinstance(scale, float) and scale == 1.0):
        first, _ = scaled(found.gains[0], found.values[0], small)
        torch.lerp(first.clamp_(*limits), flat, scale, out=flat)
    return flat, alpha


def sizes_of(optimizer, rows, tensors):
    """Their numbers of elements, as a vector that comes from the host once."""
    like = tensors[0]

    def make():
        sizes = [float(x.numel()) for x in tensors]
        return torch.tensor(sizes, dtype=like.dtype, device=like.device)

    kept = optimizer.__dict__.setdefault("_sizes_of", {})
    return remembered(kept, (rows, like.dtype, like.device), make)
