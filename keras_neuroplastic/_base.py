"""What every optimizer of this package shares, beside its update rule."""

import dataclasses
import warnings

import keras
from keras import ops
from keras.saving import deserialize_keras_object, serialize_keras_object

from keras_neuroplastic import _advice, _validation, _variables, rules
from keras_neuroplastic._copied import Copied
from keras_neuroplastic._dtypes import step_dtype
from keras_neuroplastic._watched import Watched
from keras_neuroplastic.hyperparameters import Plasticity


class PlasticityOptimizer(Copied, Watched, keras.optimizers.Optimizer):
    """Checked hyperparameters, float32 slots for the traces, copies with their state.

    A subclass has one attribute for each argument that `_validation.CHECKS` knows
    and it takes, and follows the contract of `keras.optimizers.Optimizer`.

    `rule` is the pure function that steps a variable, `settings` the class of the
    hyperparameters that it takes as one value. `further` names those that are not in
    there, nor in the configuration of every Keras optimizer.
    """

    settings = Plasticity
    further = ()

    def __init__(self, **kwargs):
        super().__init__(**{k: _validation.CHECKS[k](k, v) for k, v in kwargs.items()})
        self._stepped = None  # the variables that have traces, once built
        self._begin_unwatched()

    def build(self, variables):
        _validation.check_together(self)  # an attribute may have been set since
        _variables.check_dtypes(variables)
        self.check_alike(variables)
        self._build_on(variables)

    def _build_on(self, variables):
        """What Keras keeps of its own."""
        super().build(variables)

    def add_traces(self, variables):
        """The slots of the signals in use, and the hyperparameters as one value.

        A slot has the layout of its variable, and its dtype unless it has 16 bits.
        """
        names = [field.name for field in dataclasses.fields(self.settings)]
        self._plasticity = self.settings(**{n: getattr(self, n) for n in names})
        self._adding_slots = True
        try:
            slots = self.add_optimizer_variables(variables, self._plasticity.slot_names)
        finally:
            self._adding_slots = False
        slots = dict(zip(self._plasticity.slot_names, slots, strict=True))
        self._activities = slots.get("activity", [])
        self._momentums = slots.get("momentum", [])
        self._variances = slots.get("variance", [])
        # Not for Keras, which would take the variables for slots and wrap the lists.
        vars(self).update(_stepped=list(variables), _lists=slots)
        if self._collects:
            self._add_statistics()

    def _saved(self):
        """The variables that a file holds."""
        return self._without_statistics(self.variables)

    def save_own_variables(self, store):
        for i, variable in enumerate(self._saved()):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store):
        variables = self._saved()
        if len(store.keys()) != len(variables):
            warnings.warn(
                f"Skipping variable loading for optimizer {self.name!r}, because it "
                f"has {len(variables)} variables of its own whereas the saved one has "
                f"{len(store.keys())}. Is it built, with the same signals?",
                stacklevel=2,
            )
            return
        for i, variable in enumerate(variables):
            variable.assign(store[str(i)])

    def _choose(self, variables):
        """The indices of the variables that get traces."""
        return range(len(variables))

    def _row(self, index):
        """Where a variable is among those that have traces."""
        return index

    def _slots(self, index):
        """The traces of one variable by name, those in use."""
        row = self._row(index)
        return {name: slots[row] for name, slots in self._lists.items()}

    def _traces(self, index):
        return {k: ops.convert_to_tensor(v) for k, v in self._slots(index).items()}

    def add_variable(self, shape, initializer="zeros", dtype=None, **kwargs):
        if getattr(self, "_adding_slots", False):
            dtype = step_dtype(dtype)
        return super().add_variable(shape, initializer, dtype, **kwargs)

    def now(self, value):
        """A hyperparameter in this step: a float, or a tensor from its schedule."""
        if not callable(value):
            return value
        # A tensor, for a compiler would take a number for a constant.
        return ops.convert_to_tensor(value(self.iterations))

    def step_by_rule(self, gradient, variable, learning_rate, *others):
        """Updates one variable and its traces, one operation after another."""
        index = self._get_variable_index(variable)
        theta, traces, seen = self.rule(
            self._plasticity,
            ops.convert_to_tensor(variable),
            self._traces(index),
            gradient,
            *others,
            eta=learning_rate,
            **self._scheduled(),
            **self._constants(index),
            watched=self.grid(index),
        )
        if seen is not None:
            self.see([index], seen)
        # Assigned last: on two backends an old value is a view of its variable.
        self.assign(variable, rules.stored(theta))
        for name, slot in self._slots(index).items():
            self.assign(slot, rules.stored(traces[name]))

    def __setattr__(self, name, value):
        if name in _validation.CHECKS and name in type(self).arguments():
            # None stands for a name only until Keras has found one.
            check = _validation.text if name == "name" else _validation.CHECKS[name]
            value = check(name, value)
            if getattr(self, "built", False):
                self._refuse_unless_seen(name, value)
        super().__setattr__(name, value)

    def _refuse_unless_seen(self, name, value):
        """Raises unless compiled steps see the new value, or it is no new value."""
        if name == "learning_rate":
            seen = not callable(value)  # a number goes into the variable they read
        elif name == "name":
            seen = True  # by who saves or prints it, and no step asks
        else:
            seen = value == getattr(self, name)
        if not seen:
            raise AttributeError(
                f"`{name}` cannot be set to {value!r} once the optimizer is built: "
                "compiled steps would not see it. Create a new optimizer, or give a "
                "schedule from the start."
            )

    @classmethod
    def own_arguments(cls):
        """The names of those that are not of every Keras optimizer."""
        return [*(f.name for f in dataclasses.fields(cls.settings)), *cls.further]

    @classmethod
    def arguments(cls):
        """The names of all, which are checked wherever they are set."""
        return [*cls.own_arguments(), *_validation.OF_KERAS]

    def own_config(self):
        """The arguments that are not those of every Keras optimizer."""
        config = {}
        for name in type(self).own_arguments():
            value = getattr(self, name)
            if isinstance(value, tuple):
                value = list(value)
            elif value is not None and not isinstance(value, (bool, float, str)):
                value = serialize_keras_object(value)
            config[name] = value
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        for name in ("plasticity_scale", "residual", "strength", "max_ratio"):
            if isinstance(config.get(name), dict):
                config[name] = deserialize_keras_object(
                    config[name], custom_objects=custom_objects
                )
        # What was saved has a name, what is written by hand has seldom one.
        with _advice.loading("name" in config):
            return super().from_config(config, custom_objects=custom_objects)
