"""SGD with an L1 penalty, which makes weights zero: what a statistician would try."""

import keras
from keras import ops


class L1SGD(keras.optimizers.SGD):
    """Proximal gradient descent on the loss plus λ Σ|w|, w in the kernels.

    For kernels, which have two dimensions or more, a step ends with

    ```
    w <- sign(w) max(|w| - η λ, 0)
    ```

    Args:
        learning_rate: η.
        penalty: λ. Float, at least 0.
        **kwargs: Further arguments of `keras.optimizers.SGD`.
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
