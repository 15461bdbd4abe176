"""Optimizers with an L1 penalty, which makes weights zero: a statistician's tool."""

import keras
from keras import ops

from keras_neuroplastic import NeuroPlastic


class L1(keras.optimizers.Optimizer):
    """A mixin, to be named before an optimizer: proximal steps on λ Σ|w|.

    A step of a kernel w, which has two dimensions or more, ends with

    ```
    w <- sign(w) max(|w| - η λ, 0)
    ```

    Args:
        learning_rate: η.
        penalty: λ. Float, at least 0.
        **kwargs: Further arguments of the optimizer.
    """

    def __init__(self, learning_rate, penalty, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.penalty = penalty

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, learning_rate)
        if len(variable.shape) >= 2:
            value = ops.convert_to_tensor(variable)
            least = ops.cast(learning_rate, value.dtype) * self.penalty
            self.assign(variable, ops.sign(value) * ops.relu(ops.abs(value) - least))

    def get_config(self):
        return {**super().get_config(), "penalty": self.penalty}


class L1SGD(L1, keras.optimizers.SGD):
    """Proximal gradient descent."""


class L1NeuroPlastic(L1, NeuroPlastic):
    """Plasticity on the gradients of the loss, and none on what shrinks the weights."""
