"""What every optimizer of this package shares, beside its update rule."""

import re

import keras
from keras import ops

from keras_neuroplastic import _validation, rules
from keras_neuroplastic._sparse import densify


class PlasticityOptimizer(keras.optimizers.Optimizer):
    """Checked hyperparameters, float32 slots, dense gradients, decay by path.

    A subclass has one attribute for each argument that `_validation.CHECKS` knows
    and it takes, applies the decay of the variables marked in `_decayed` itself,
    and otherwise follows the contract of `keras.optimizers.Optimizer`.
    """

    def __init__(self, **kwargs):
        super().__init__(**{k: _validation.CHECKS[k](k, v) for k, v in kwargs.items()})

    def build(self, variables):
        _validation.check_together(self)  # an attribute may have been set since
        if (
            keras.backend.backend() == "jax"
            and self.ema_overwrite_frequency
            and any(getattr(v, "overwrite_with_gradient", False) for v in variables)
        ):
            raise ValueError(
                "`ema_overwrite_frequency` must be None on JAX where variables are "
                "overwritten by their gradient, as in float8 layers. Received: "
                f"ema_overwrite_frequency={self.ema_overwrite_frequency}"
            )
        super().build(variables)
        # Decided here, where every backend still hands out variables with a path.
        self._decayed = self._decay_mask()

    def add_slots(self, variables, names):
        """A dict from each name to its slots, one for each variable.

        They have the layout of their variable, and its dtype unless it has 16 bits.
        """
        self._adding_slots = True
        try:
            slots = self.add_optimizer_variables(variables, names)
        finally:
            self._adding_slots = False
        return dict(zip(names, slots, strict=True))

    def load_waiting_state(self):
        """The last act of `build`: takes up the state of a pickled optimizer."""
        if not hasattr(self, "_state_when_built"):
            return
        state = self._state_when_built
        del self._state_when_built
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            # `fit` builds while it traces, where an assignment would become a part
            # of every step.
            with tf.init_scope():
                self.set_weights(state)
        else:
            self.set_weights(state)

    def add_variable(self, shape, initializer="zeros", dtype=None, **kwargs):
        if getattr(self, "_adding_slots", False):
            dtype = rules.step_dtype(dtype)
        return super().add_variable(shape, initializer, dtype, **kwargs)

    def _filter_empty_gradients(self, grads, vars):
        # The first step of `apply`, before anything reads the gradients.
        grads, vars = super()._filter_empty_gradients(grads, vars)
        return [densify(g, v) for g, v in zip(grads, vars, strict=True)], vars

    def _overwrite_model_variables_with_average_value(self, trainable_variables):
        """As in Keras, but on JAX with copies, and without averages that are None.

        A weight and its average in one buffer cannot both be donated to the next
        `fit`; a variable that is overwritten by its gradient has no average.
        """
        averages = self._model_variables_moving_average
        if len(trainable_variables) != len(averages):
            raise ValueError(
                f"The optimizer averages {len(averages)} variables. Received: "
                f"{len(trainable_variables)} variables to overwrite."
            )
        pairs = [
            (variable, average)
            for variable, average in zip(trainable_variables, averages, strict=True)
            if average is not None
        ]
        kept = [average for _, average in pairs]
        if keras.backend.backend() == "jax":
            kept = [ops.copy(average) for average in kept]
        self._model_variables_moving_average = kept
        try:
            super()._overwrite_model_variables_with_average_value(
                [variable for variable, _ in pairs]
            )
        finally:
            self._model_variables_moving_average = averages

    def current_scale(self):
        """κ of this step: a float, or a tensor where a schedule gives it."""
        scale = self.plasticity_scale
        return scale(self.iterations) if callable(scale) else scale

    def _apply_weight_decay(self, variables):
        """Nothing: `update_step` decays, so that a skipped variable stays whole."""

    def _use_weight_decay(self, variable):
        path = getattr(variable, "path", variable.name)
        excluded = any(re.search(p, path) for p in self.weight_decay_exclude or ())
        return bool(
            self.weight_decay and not excluded and super()._use_weight_decay(variable)
        )

    def _decay_mask(self):
        return [self._use_weight_decay(v) for v in self._trainable_variables]

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """As in Keras, but refused once built; see also `weight_decay_exclude`.

        To say once more what was said before is allowed: each replica of
        tf.distribute does.
        """
        super().exclude_from_weight_decay(var_list, var_names)
        if self.built and self._decay_mask() != self._decayed:
            raise ValueError(
                "`exclude_from_weight_decay()` must be called before the optimizer is "
                "built. Prefer the argument `weight_decay_exclude`, which is saved."
            )

    def __setattr__(self, name, value):
        if name in _validation.CHECKS:
            value = _validation.CHECKS[name](name, value)
            if getattr(self, "built", False):
                self._refuse_unless_seen(name, value)
        super().__setattr__(name, value)

    def _refuse_unless_seen(self, name, value):
        """Raises unless compiled steps see the new value, or it is no new value."""
        if name == "learning_rate":
            seen = not callable(value)  # a number goes into the variable they read
        else:
            seen = value == getattr(self, name)
        if not seen:
            raise AttributeError(
                f"`{name}` cannot be set to {value!r} once the optimizer is built: "
                "compiled steps would not see it. Create a new optimizer, or give a "
                "schedule from the start."
            )

    def __reduce__(self):
        """For pickle and deepcopy: unlike in Keras, the slots come along.

        They wait in the copy until it is built on variables of its own.
        """
        state = [variable.numpy() for variable in self.variables]
        state = getattr(self, "_state_when_built", state)  # a copy of a copy
        return _restore, (type(self), self.get_config(), state)

    def get_config(self):
        config = super().get_config()
        own = [name for name in _validation.CHECKS if name not in config]
        config.update({name: getattr(self, name) for name in own})
        if callable(self.plasticity_scale):
            config["plasticity_scale"] = keras.saving.serialize_keras_object(
                self.plasticity_scale
            )
        if self.weight_decay_exclude is not None:
            config["weight_decay_exclude"] = list(self.weight_decay_exclude)
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        if isinstance(config.get("plasticity_scale"), dict):
            config["plasticity_scale"] = keras.saving.deserialize_keras_object(
                config["plasticity_scale"], custom_objects=custom_objects
            )
        return super().from_config(config, custom_objects=custom_objects)


def _restore(cls, config, state):
    optimizer = cls.from_config(config)
    for variable, value in zip(optimizer.variables, state, strict=False):
        variable.assign(value)
    if len(state) > len(optimizer.variables):
        optimizer._state_when_built = state
    return optimizer
