"""Schedules for the plasticity scale."""

import keras
from keras import ops

from keras_neuroplastic import _validation, rules


@keras.saving.register_keras_serializable(package="keras_neuroplastic")
class PlasticityWarmup(keras.optimizers.schedules.LearningRateSchedule):
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

    Example:

    >>> from keras_neuroplastic import NeuroPlastic, PlasticityWarmup
    >>> warmup = PlasticityWarmup(warmup_steps=4, scale=2.0, stair_steps=2)
    >>> [float(warmup(t)) for t in range(6)]
    [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]
    >>> optimizer = NeuroPlastic(plasticity_scale=warmup)

    Reference:

    - [NeuroPlastic](https://arxiv.org/abs/2604.26297), the warm-up of κ.
    """

    def __init__(self, warmup_steps, scale=1.0, stair_steps=1):
        self.warmup_steps = _validation.integer("warmup_steps", warmup_steps, 1)
        self.scale = _validation.real("scale", scale, 0)
        self.stair_steps = _validation.integer("stair_steps", stair_steps, 1)

    def __setattr__(self, name, value):
        if hasattr(self, name):
            raise AttributeError(
                f"`{name}` of a schedule cannot be set: compiled steps would not see "
                "it. Create a new schedule."
            )
        super().__setattr__(name, value)

    def __call__(self, step):
        """The scale after `step` updates, a float32 or float64 scalar."""
        # The stairs are counted in integers: no rounding moves an edge.
        step = ops.cast(step, "int32")
        climbed = step // self.stair_steps * self.stair_steps
        climbed = ops.minimum(climbed, self.warmup_steps)
        climbed = ops.cast(climbed, rules.step_dtype(keras.config.floatx()))
        return climbed / self.warmup_steps * self.scale

    def get_config(self):
        return {
            "warmup_steps": self.warmup_steps,
            "scale": self.scale,
            "stair_steps": self.stair_steps,
        }
