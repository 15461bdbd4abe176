"""What an optimizer that updates variables by itself has of Keras, made to fit it."""

from types import MappingProxyType

import keras

from keras_neuroplastic import _averages, _variables
from keras_neuroplastic._base import PlasticityOptimizer
from keras_neuroplastic._inner import is_within_another
from keras_neuroplastic._sparse import densify

NO_DECAY = MappingProxyType({"weight_decay": 0.0})


class UpdatingOptimizer(PlasticityOptimizer):
    """Dense gradients, weight decay by path, averages that survive a second `fit`.

    A subclass applies the decay of the variables marked in `_decayed` itself, but not
    within another optimizer, for which a decay is no part of a step: there Keras does.
    """

    def build(self, variables):
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
        # Two objects, of which variables of one kind share one. Keras, which tracks
        # what is set, would copy a dict for each variable.
        decayed = MappingProxyType({"weight_decay": self.weight_decay})
        self._each_constants = [decayed if d else NO_DECAY for d in self._decayed]

    def _constants(self, index):
        """λ of a variable in a step, 0 where it is not decayed."""
        return NO_DECAY if is_within_another(self) else self._each_constants[index]

    def _filter_empty_gradients(self, grads, vars):
        # The first step of `apply`, before anything reads the gradients.
        _variables.check_counts(grads, vars)
        grads, vars = super()._filter_empty_gradients(grads, vars)
        pairs = zip(grads, vars, strict=True)
        return [_variables.gradient(densify(g, v), v) for g, v in pairs], vars

    def _overwrite_model_variables_with_average_value(self, trainable_variables):
        as_keras_does = super()._overwrite_model_variables_with_average_value
        _averages.overwrite(self, trainable_variables, as_keras_does)

    def _apply_weight_decay(self, variables):
        """Nothing where the step decays, so that a skipped variable stays whole."""
        # PyTorch cannot decay none.
        if is_within_another(self) and any(map(self._use_weight_decay, variables)):
            super()._apply_weight_decay(variables)

    def _use_weight_decay(self, variable):
        # Keras may ask with TensorFlow's own variable, whose name is not its path.
        index = self._trainable_variables_indices.get(self._var_key(variable))
        if index is not None:
            variable = self._trainable_variables[index]
        patterns = self.weight_decay_exclude or ()
        excluded = _variables.matches(_variables.path(variable), patterns)
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

    def get_config(self):
        return {**super().get_config(), **self.own_config()}
