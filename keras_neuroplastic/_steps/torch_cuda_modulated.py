"""The modulated step, for all variables of a GPU together as in `torch_cuda.py`.

Lengths are sums of squares in float64, where those of float32 neither overflow nor
vanish; moves of float64 variables are taken to have no such sizes.
"""

import torch

from keras_neuroplastic import rules
from keras_neuroplastic._steps import torch_cuda
from keras_neuroplastic._steps.torch_lists import copied, lengths, scaled
from keras_neuroplastic._sums import where
from keras_neuroplastic.modulation import TINY


def update(p, theta, traces, g, before, eta, scale, strength, max_ratio, sizes, watch):
    """`modulation.step`, but for an update that is stabilised."""
    found = torch_cuda.signals(traces, g, sizes, p)
    if watch:
        inner, moved = copied(before)
        torch._foreach_sub_(moved, theta)
    else:
        moved = torch._foreach_sub(before, theta)  # η b
    if p.per_parameter:
        whole, part = torch_cuda.plasticity(found, p, scale)
        if watch:
            watch.alpha = watch.sample(whole)
        whole.sub_(1.0)
        torch._foreach_mul_(part, moved)
    else:
        alpha = rules.plasticity(found, p, scale)
        if watch:
            watch.alpha = alpha
        whole, part = scaled(alpha - 1, moved)
    factor = torch.ones_like(found.gains[0]) * strength
    if p.target == "trust" or max_ratio is not None:
        norms = map(lengths, (before, moved, part))
        factor = factor * shorten(p, *norms, eta, strength, max_ratio)
    factor = factor.to(eta.dtype)
    torch._foreach_addcmul_(theta, factor.unbind(), part, value=-1.0)
    if watch:
        raw = lengths(torch._foreach_sub(before, theta))  # of η (b + d)
        unit = 1 / where(eta > 0, eta, 1.0)
        stable = rules.Stabilized(None, raw, unit, False, 1.0)
        plastic = factor[:, None] * watch.sample(whole)
        made = plastic, watch.sample(inner) + plastic
        watch.see(found, stable, unit, eta, g, before, *made)


def shorten(p, old, moved, part, eta, strength, max_ratio):
    """What is left of parts of such lengths: their trust, and the limit."""
    factor, tiny = 1.0, TINY * eta
    if p.target == "trust":
        some = where(moved > 0, moved, 1.0)  # where it is 0, so is the part
        factor = rules.clip(old * eta / (some + tiny), 0.5, 1.5) - 1
    if max_ratio is not None:
        length, longest = abs(factor * strength) * part, max_ratio * moved
        limited = longest / (length + tiny)
        factor = factor * where(length > longest, limited, 1.0)
    return factor
