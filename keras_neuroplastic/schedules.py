"""Schedules for the plasticity scale and the strength of a modulation."""

import keras
from keras import ops

from keras_neuroplastic import _validation
from keras_neuroplastic._dtypes import step_dtype

LATEST_START = _validation.LARGEST_COUNT - 1  # or no end could follow


class FixedSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule whose attributes are set once, for compiled steps read them once."""

    def __setattr__(self, name, value):
        if hasattr(self, name):
            raise AttributeError(
                f"`{name}` of a schedule cannot be set: compiled steps would not see "
                "it. Create a new schedule."
            )
        super().__setattr__(name, value)

    def number(self, value):
        """A count or a condition in the dtype of steps."""
        return ops.cast(value, step_dtype(keras.config.floatx()))


@keras.saving.register_keras_serializable(package="keras_neuroplastic")
class PlasticityWarmup(FixedSchedule):
    """Raises the plasticity scale from zero, linearly or in stairs.

    After `t` updates the scale is
    `scale * min(floor(t / stair_steps) * stair_steps / warmup_steps, 1)`.

    The default climbs at every update. `stair_steps=steps_per_epoch` climbs once
    an epoch, the warm-up of the paper. At zero only the gradient signal modulates
    the step.

    Args:
        warmup_steps: Integer, at least 1. Updates until the full scale.
        scale: Float, at least 0. The scale after the warm-up. Defaults to 1.0.
        stair_steps: Integer, at least 1. Updates between two rises. Defaults
            to 1.

    Raises:
        TypeError, ValueError: An argument has the wrong type or is out of range.
        AttributeError: An argument is set once the schedule is made.

    Examples:
        >>> from keras_neuroplastic import NeuroPlastic, PlasticityWarmup
        >>> warmup = PlasticityWarmup(warmup_steps=4, scale=2.0, stair_steps=2)
        >>> [float(warmup(t)) for t in range(6)]
        [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]
        >>> optimizer = NeuroPlastic(plasticity_scale=warmup)

    Reference:

    - [NeuroPlastic](https://arxiv.org/abs/2604.26297), the warm-up of κ.
    """

    def __init__(
        self, warmup_steps: int, scale: float = 1.0, stair_steps: int = 1
    ) -> None:
        self.warmup_steps = _validation.count("warmup_steps", warmup_steps, 1)
        self.scale = _validation.real("scale", scale, 0)
        self.stair_steps = _validation.count("stair_steps", stair_steps, 1)

    def __call__(self, step):
        """The scale after `step` updates, a float32 or float64 scalar."""
        # The stairs are counted in integers: no rounding moves an edge.
        step = ops.cast(step, "int32")
        climbed = step // self.stair_steps * self.stair_steps
        climbed = ops.minimum(climbed, self.warmup_steps)
        return self.number(climbed) / self.warmup_steps * self.scale

    def get_config(self):
        return {
            "warmup_steps": self.warmup_steps,
            "scale": self.scale,
            "stair_steps": self.stair_steps,
        }


@keras.saving.register_keras_serializable(package="keras_neuroplastic")
class PlasticityWindow(FixedSchedule):
    """A value that holds in a window of training, and is zero before and after.

    After `t` updates it is `scale` where `start <= t < end`, else 0.

    Args:
        start: Integer, at least 0. Updates before the window. Defaults to 0.
        end: Integer above `start`, or None. Updates until its end; None: it stays
            open. Defaults to None.
        scale: Float, at least 0. The value within. Defaults to 1.0.

    Raises:
        TypeError, ValueError: An argument has the wrong type or is out of range.
        AttributeError: An argument is set once the schedule is made.

    Examples:
        >>> from keras_neuroplastic import PlasticityModulated, PlasticityWindow
        >>> late = PlasticityWindow(start=2, end=4, scale=0.5)
        >>> [float(late(t)) for t in range(6)]
        [0.0, 0.0, 0.5, 0.5, 0.0, 0.0]
        >>> optimizer = PlasticityModulated("adam", strength=late)

    Reference:

    - [NeuroPlastic](https://arxiv.org/abs/2604.26297), the phases of the published
      code.
    """

    def __init__(
        self, start: int = 0, end: int | None = None, scale: float = 1.0
    ) -> None:
        self.start = _validation.integer("start", start, 0, LATEST_START)
        self.end = _validation.optional(_validation.count, self.start + 1)("end", end)
        self.scale = _validation.real("scale", scale, 0)

    def __call__(self, step):
        """The value after `step` updates, a float32 or float64 scalar."""
        step = ops.cast(step, "int32")
        inside = step >= self.start
        if self.end is not None:
            inside = ops.logical_and(inside, step < self.end)
        return self.number(inside) * self.scale

    def get_config(self):
        return {"start": self.start, "end": self.end, "scale": self.scale}
