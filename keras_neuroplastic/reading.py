"""Reading what plasticity did, of an optimizer by itself or within another."""

import math
from collections import Counter
from typing import Any

import keras
import numpy as np
from keras.optimizers import Optimizer

from keras_neuroplastic import _steps, _variables, collecting
from keras_neuroplastic._base import PlasticityOptimizer


def optimizers_within(optimizer):
    """The optimizers of this package that an optimizer is, or is made of."""
    if isinstance(optimizer, PlasticityOptimizer):
        return [optimizer]
    inner = getattr(optimizer, "optimizers", [])  # of a MultiOptimizer
    inner = [*inner, getattr(optimizer, "inner_optimizer", None)]
    return [found for o in inner if o is not None for found in optimizers_within(o)]


def watched_paths(optimizer):
    """The paths of the variables of which statistics are to be had."""
    found = optimizers_within(optimizer)
    return names([v for each in found for v in each._stepped or []])


def names(variables):
    """The path of each, and where it is that of others, which of them: "path#2"."""
    seen, result = Counter(), []
    for path in map(_variables.path, variables):
        seen[path] += 1
        result.append(path if seen[path] == 1 else f"{path}#{seen[path]}")
    return result


def plasticity_statistics(
    optimizer: Optimizer, reset: bool = True
) -> dict[str, dict[str, Any]]:
    """What the steps did since this was last called, for each variable.

    Means over the steps, where nothing else is said. Of a variable with more than 512
    elements a grid of about so many stands for all of them in what concerns α; where
    there are more than 256 variables, of fewer, 2¹⁷ in all.

    - `size`, `steps`: number of elements and of steps
    - `alpha_mean`, `alpha_std`: of α, over elements and steps
    - `alpha_min`, `alpha_max`: the extremes of all steps
    - `share_at_min`, `share_at_max`: share of elements at a bound of α, or beyond it;
      "at" is within 5 % of the range
    - `share_negative`: share of elements with α < 0, which step uphill
    - `gradient_norm`: ‖g‖
    - `raw_update_norm`, `update_norm`: ‖u‖ before and after homeostasis
    - `share_clipped`: share of steps in which `max_update_norm` acted
    - `gain`: of the homeostatic correction that `adaptation_rate` makes
    - `plastic_ratio`: ‖(α - α_gradient) g‖ / ‖u‖ before homeostasis, what the activity
      and memory signals made of the update; of `PlasticityModulated` ‖d‖ / ‖b + d‖
    - `update_to_weight`: η ‖u‖ / ‖θ‖, without weight decay
    - `alpha_sample`: NumPy array of α in the last step

    A NaN shows in the means and in `alpha_sample`. The shares count its element as at
    no bound, and the extremes leave out its step, unless it is the only one.

    Args:
        optimizer: A `NeuroPlastic` or `PlasticityModulated`, or a `LossScaleOptimizer`
            or `MultiOptimizer` around some.
        reset: Boolean. Whether to begin anew. Defaults to True.

    Returns:
        A dict of dicts of floats, by the `path` of each variable that was stepped.

    Raises:
        ValueError: The optimizer has no plasticity, or collects no statistics.

    Examples:
        >>> import keras
        >>> from keras_neuroplastic import NeuroPlastic, plasticity_statistics
        >>> optimizer = NeuroPlastic()
        >>> optimizer.collect_statistics()
        >>> weights = keras.Variable([1.0, 2.0], name="weights")
        >>> optimizer.apply([keras.ops.convert_to_tensor([0.1, 0.3])], [weights])
        >>> statistics = plasticity_statistics(optimizer)["weights"]
    """
    found = optimizers_within(optimizer)
    if not found:
        raise ValueError(
            "`optimizer` must be a NeuroPlastic or PlasticityModulated, or be around "
            f"one. Received: optimizer={optimizer!r}"
        )
    told, paths = {}, iter(watched_paths(optimizer))
    for each in found:
        if not each._collects:
            raise ValueError(
                "`optimizer` must collect statistics: call its `collect_statistics()` "
                "before the steps, or train with a PlasticityMonitor. Received: "
                f"optimizer={each!r}"
            )
        if each._totals is None:
            continue
        _steps.collect_waiting(each)
        totals, samples = (
            keras.ops.convert_to_numpy(v) for v in (each._totals, each._sample)
        )
        for row, variable in enumerate(each._stepped):
            path, size = next(paths), math.prod(variable.shape)
            summary = collecting.summary(totals[row], samples[row, : each._sizes[row]])
            if summary is not None and size:
                told[path] = {"size": size, **summary}
    if reset:
        begin_anew(optimizer)
    return told


def begin_anew(optimizer):
    """Forgets what the steps did, unread."""
    for each in optimizers_within(optimizer):
        if each._totals is not None:
            each._waiting.clear()
            totals = each._totals
            totals.assign(keras.ops.zeros(totals.shape, totals.dtype))


def for_logs(found):
    """What an epoch's logs get, from the statistics of all variables.

    NaN where there are none: `CSVLogger` has the columns of its first epoch.
    """
    rows = list(found.values())
    sizes = [row["size"] for row in rows]

    def mean(numbers, weights=None):
        return float(np.average(numbers, weights=weights)) if rows else math.nan

    square = mean([row["alpha_std"] ** 2 for row in rows], sizes)
    return {
        "plasticity_alpha_std": math.sqrt(square),
        "plasticity_at_bounds": mean([*map(collecting.share_at_bounds, rows)], sizes),
        "plasticity_clipped": mean([row["share_clipped"] for row in rows]),
        "plasticity_update_to_weight": mean([row["update_to_weight"] for row in rows]),
    }
