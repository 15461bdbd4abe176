"""Optimizers that a user wrote, from Keras's own instructions, exact in float64."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tests")
class UserAdamW(keras.optimizers.Optimizer):
    """AdamW with epsilon added to the corrected root, as it was published."""

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        names = ["momentum", "velocity"]
        self._momentums, self._velocities = self.add_optimizer_variables(
            variables, names
        )

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        momentum, velocity = self._momentums[index], self._velocities[index]
        eta, g = (ops.cast(x, variable.dtype) for x in (learning_rate, gradient))
        count = ops.cast(self.iterations + 1, variable.dtype)
        m = 0.9 * momentum + 0.1 * g
        v = 0.999 * velocity + 0.001 * g * g
        # Not ops.cast, which rounds a number to float32 on TensorFlow.
        betas = [ops.convert_to_tensor(x, variable.dtype) for x in (0.9, 0.999)]
        m_hat = m / (1 - ops.power(betas[0], count))
        v_hat = v / (1 - ops.power(betas[1], count))
        self.assign(momentum, m)
        self.assign(velocity, v)
        self.assign_sub(variable, eta * m_hat / (ops.sqrt(v_hat) + 1e-8))


@keras.saving.register_keras_serializable(package="tests")
class UserMomentum(keras.optimizers.Optimizer):
    """Momentum without damping."""

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self._velocities = self.add_optimizer_variables(variables, "velocity")

    def update_step(self, gradient, variable, learning_rate):
        velocity = self._velocities[self._get_variable_index(variable)]
        eta, g = (ops.cast(x, variable.dtype) for x in (learning_rate, gradient))
        new = 0.9 * velocity + g
        self.assign(velocity, new)
        self.assign_sub(variable, eta * new)
