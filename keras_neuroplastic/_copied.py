"""Pickle and deepcopy bring an optimizer's state along, unlike in Keras."""

from contextlib import contextmanager

import keras
from keras.optimizers.schedules import LearningRateSchedule

from keras_neuroplastic import _advice


class Copied:
    """What copies an optimizer with its traces.

    Their values wait in the copy until it is built, on variables of its own.
    """

    def __reduce__(self):
        had = self._likeness(self._trainable_variables) if self.built else None
        values = [v.numpy() for v in self._without_statistics(self.variables)]
        # Or what waits in this one, which is a copy itself.
        waiting = getattr(self, "_state_when_built", (had, values))
        return restore, (type(self), self._config_of_copy(), *waiting)

    def _config_of_copy(self):
        with rate_apart(self) as rate:
            config = self.get_config()
        return config if rate is None else {**config, "learning_rate": rate}

    def _likeness(self, variables):
        """What a copy's variables share with these: shapes, and which have traces."""
        chosen = set(self._choose(variables))
        return [(tuple(v.shape), i in chosen) for i, v in enumerate(variables)]

    def check_alike(self, variables):
        """Before `build`: a ValueError if what waits does not fit the variables."""
        had, _ = getattr(self, "_state_when_built", (None, None))
        found = None if had is None else self._likeness(variables)
        if found != had:
            name = type(self).__name__
            raise ValueError(
                f"A copy of a {name} goes on from its traces, so that it must be built "
                "on variables of the same shapes, traced alike. For others make a new "
                f"one: {name}.from_config(optimizer.get_config()). Received: shapes, "
                f"and if traced, {found}, in place of {had}"
            )

    def load_waiting_state(self):
        """The last act of `build`: takes up what waits."""
        if not hasattr(self, "_state_when_built"):
            return
        _, values = self._state_when_built
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            # `fit` builds while it traces, where an assignment would become a part
            # of every step.
            with tf.init_scope():
                self.set_weights(values)
        else:
            self.set_weights(values)
        del self._state_when_built


def restore(cls, config, had, values):
    """The copy of an optimizer; `had` are the shapes of the original's variables."""
    with _advice.loading():
        optimizer = cls.from_config(config)
    for variable, value in zip(optimizer.variables, values, strict=False):
        variable.assign(value)
    if len(values) > len(optimizer.variables):
        # Not for Keras, which would track what is in there.
        vars(optimizer)["_state_when_built"] = had, values
    return optimizer


@contextmanager
def rate_apart(optimizer):
    """Gives the function of its learning rate, or None, and leaves it out within.

    A configuration can only hold the code of a function, and not of each; a copy in
    the same process, or a pickle, refers to the function itself.
    """
    rate = vars(optimizer).get("_learning_rate")
    if not callable(rate) or isinstance(rate, LearningRateSchedule):
        yield None
        return
    # Not for Keras, which would track what is set.
    vars(optimizer)["_learning_rate"] = 0.0
    try:
        yield rate
    finally:
        vars(optimizer)["_learning_rate"] = rate
