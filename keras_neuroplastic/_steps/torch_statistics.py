"""The statistics of a step in place, for one PyTorch variable on the CPU.

As in `statistics.py`, but by NumPy, whose operations on so few elements take a third
of the time of PyTorch's and a tenth of Keras's.
"""

import numpy as np
import torch

from keras_neuroplastic import statistics


def collect(step, slots, g, traces, means, before, weight):
    """Adds a step that has just been made to `totals`, and keeps its sample of α."""
    p, grid = step.rule, statistics.grid(tuple(g.shape))

    def seen(x):
        return x.numpy()[grid].ravel()

    g_seen = seen(g)
    if not g_seen.size:
        return
    alpha, alpha_gradient = plasticity(step, g_seen, traces, means, seen)
    plastic, update, stable, unit = step.made(alpha, alpha_gradient, g_seen, before)
    plastic, update = np.dot(plastic, plastic), np.dot(update, update)
    low, high = statistics.bounds(p.min_alpha, p.max_alpha)
    length, shift = stable.length * stable.factor, alpha - 1
    totals, count = slots["totals"].numpy(), len(statistics.SUMS)
    extremes = -alpha.min(), alpha.max()
    totals[count:] = np.maximum(totals[count:], extremes) if totals[0] else extremes
    totals[:count] += (
        1,
        shift.mean(),
        np.dot(shift, shift) / shift.size,
        np.count_nonzero(alpha <= low) / alpha.size,
        np.count_nonzero(alpha >= high) / alpha.size,
        np.count_nonzero(alpha < 0) / alpha.size,
        norm(g),
        stable.length * unit,
        length,
        stable.clipped,
        stable.gain,
        np.sqrt(plastic / update) if update > 0 else 0.0,
        step.learning_rate * length / weight if weight else 0.0,
    )
    slots["sample"].numpy()[:] = alpha


def norm(x):
    """‖x‖, whatever the size of its elements."""
    x = x.view(-1)
    square = torch.dot(x, x).item()
    if 1e-20 < square < 1e30:
        return square**0.5
    return torch.linalg.vector_norm(x, dtype=torch.float64).item()


def plasticity(step, g, traces, means, seen):
    """α and α_gradient of the elements seen."""
    p, scale = step.rule, step.numbers["scale"]
    limits = p.min_alpha, p.max_alpha
    values = {"gradient": np.abs(g)}
    if not p.per_parameter:
        values = means
    else:
        if "activity" in traces:
            values["activity"] = seen(traces["activity"])
        if "momentum" in traces:
            root = np.sqrt(seen(traces["variance"]))
            values["memory"] = np.abs(seen(traces["momentum"])) / (root + p.epsilon)
    normal = {name: x * (1 / (means[name] + p.epsilon)) for name, x in values.items()}
    parts = [getattr(p, f"{name}_weight") * x for name, x in normal.items()]
    alpha_gradient = np.clip(normal["gradient"], *limits)
    alpha = alpha_gradient + scale * (np.clip(sum(parts), *limits) - alpha_gradient)
    zero = np.zeros_like(g)
    return alpha + zero, alpha_gradient + zero
