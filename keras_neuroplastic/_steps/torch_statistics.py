"""The statistics of a step in place, for one PyTorch variable on the CPU.

As in `statistics.py`, but by NumPy, whose operations on so few elements take a third
of the time of PyTorch's and a tenth of Keras's.
"""

import math

import numpy as np
import torch

from keras_neuroplastic import statistics


def collect(step, slots, g, traces, means, before, weight):
    """Adds a step that has just been made to `totals`, and keeps its sample of α."""
    p, g_seen = step.rule, seen(g)
    if not g_seen.size:
        return
    alpha, alpha_gradient = plasticity(step, g_seen, traces, means)
    plastic, update, stable, unit = step.made(alpha, alpha_gradient, g_seen, before)
    plastic, update = np.dot(plastic, plastic), np.dot(update, update)
    low, high = statistics.bounds(p.min_alpha, p.max_alpha)
    length, shift, size = stable.length * stable.factor, alpha - 1, alpha.size
    totals, count = slots["totals"].numpy(), len(statistics.SUMS)
    extremes = -np.minimum.reduce(alpha), np.maximum.reduce(alpha)
    totals[count:] = np.maximum(totals[count:], extremes) if totals[0] else extremes
    totals[:count] += (
        1.0,
        float(np.add.reduce(shift)) / size,
        float(np.dot(shift, shift)) / size,
        np.count_nonzero(alpha <= low) / size,
        np.count_nonzero(alpha >= high) / size,
        np.count_nonzero(alpha < 0) / size if step.numbers["scale"] > 1 else 0.0,
        norm(g),
        stable.length * unit,
        length,
        float(stable.clipped),
        stable.gain,
        math.sqrt(plastic / update) if update > 0 else 0.0,
        step.learning_rate * length / weight if weight else 0.0,
    )
    slots["sample"].numpy()[:] = alpha


def seen(x):
    """The elements of x to look at, as an array."""
    return x.numpy()[statistics.grid(x.shape)].ravel()


def norm(x):
    """‖x‖, whatever the size of its elements."""
    x = x.view(-1)
    square = torch.dot(x, x).item()
    if 1e-20 < square < 1e30:
        return square**0.5
    return torch.linalg.vector_norm(x, dtype=torch.float64).item()


def plasticity(step, g, traces, means):
    """α and α_gradient of the elements seen."""
    p, scale = step.rule, step.numbers["scale"]
    values = {"gradient": np.abs(g)}
    if not p.per_parameter:
        values = means
    else:
        if "activity" in traces:
            values["activity"] = seen(traces["activity"])
        if "momentum" in traces:
            root = np.sqrt(seen(traces["variance"]))
            values["memory"] = np.abs(seen(traces["momentum"])) / (root + p.epsilon)
    gains = {name: 1 / (mean + p.epsilon) for name, mean in means.items()}
    first, *others = [
        x * (getattr(p, f"{name}_weight") * gains[name]) for name, x in values.items()
    ]
    alpha_gradient = clip(values["gradient"] * gains["gradient"], p)
    alpha = clip(sum(others, first), p)
    if scale != 1:
        alpha = alpha_gradient + scale * (alpha - alpha_gradient)
    if not p.per_parameter:
        alpha, alpha_gradient = (np.full_like(g, x) for x in (alpha, alpha_gradient))
    return alpha, alpha_gradient


def clip(x, p):
    return np.minimum(np.maximum(x, p.min_alpha), p.max_alpha)
