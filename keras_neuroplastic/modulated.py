"""Plasticity around any Keras optimizer."""

from functools import partial
from types import MappingProxyType
from typing import Any, Literal, Never

import keras
from keras import ops
from keras.optimizers import Optimizer
from keras.optimizers.schedules import LearningRateSchedule

from keras_neuroplastic import (
    _advice,
    _inner,
    _steps,
    _validation,
    _variables,
    modulation,
)
from keras_neuroplastic._sparse import densify
from keras_neuroplastic._types import Patterns
from keras_neuroplastic._wrapping import WrappingOptimizer

# One object: variables are of one kind where theirs is.
NONE = MappingProxyType({})


@keras.saving.register_keras_serializable(package="keras_neuroplastic")
class PlasticityModulated(WrappingOptimizer):
    """Another optimizer, whose every step is scaled by a plasticity coefficient.

    The optimizer moves a variable by -η b, whatever its rule. With the coefficient α
    of `NeuroPlastic`, from the same gradient and traces of its own, that becomes
    -η (b + d):

    ```
    d = σ (α - 1) b                                                target "gain"
    d = σ (α - 1) (clip(‖θ‖ / (‖b‖ + 10⁻¹²), 0.5, 1.5) - 1) b      target "trust"
    d <- d q ‖b‖ / (‖d‖ + 10⁻¹²)   where ‖d‖ > q ‖b‖
    ```

    and, where `max_update_norm` or `adaptation_rate` say so, b + d is stabilised as
    in `NeuroPlastic`. The inner optimizer does all else, once: learning rate and
    schedules, weight decay, which is no part of b, clipping, accumulation, averages.
    Its arguments are given to it.

    Args:
        optimizer: A `keras.optimizers.Optimizer`, or what `compile` takes for one: a
            name or a configuration. It belongs to the wrapper from then on.
        strength: σ. Float, at least 0, or a `LearningRateSchedule` of the number of
            updates made. 0 leaves the inner optimizer as it is. Defaults to 1.0.
        max_ratio: q. Float, at least 0, a `LearningRateSchedule`, or None for no
            limit. Defaults to 0.25.
        target: "gain" or "trust". What is modulated: the update, or how far its
            length is from that of the variable. Defaults to "gain".
        modulate: Regular expression or list of them. A variable whose `path` contains
            a match is modulated; others follow the inner optimizer and have no
            traces. None: all. Defaults to None.
        activity_weight: w_a. Float in [0, 1]; the three weights sum to 1.
            Defaults to 1.0.
        gradient_weight: w_g, likewise. Defaults to 0.0.
        memory_weight: w_m, likewise. Defaults to 0.0.
        plasticity_scale: κ. Float, at least 0, or a `LearningRateSchedule` of the
            number of updates made, such as `PlasticityWarmup`. 0 leaves the
            gradient signal alone; above 1, α may leave its range and turn
            negative. Defaults to 1.0.
        min_alpha: α_min. Float, at least 0. Defaults to 0.0.
        max_alpha: α_max. Float, at least `min_alpha`. Defaults to 5.0.
        per_parameter: Boolean. False: one α for the whole variable, from the means
            of the two signal sums. Defaults to True.
        activity_decay: δ. Float in [0, 1). Defaults to 0.95.
        beta_1: β₁. Float in [0, 1). Defaults to 0.9.
        beta_2: β₂. Float in [0, 1). Defaults to 0.99.
        max_update_norm: c. Float above 0, or None for no clipping. Defaults to None.
        target_rms: r*. Float, at least 0. Defaults to 0.02.
        adaptation_rate: ρ. Float, at least 0; 0 switches the last correction off.
            Defaults to 0.0.
        epsilon: ε. Float, at least 1e-37. Defaults to 1e-8.
        jit_compile: Boolean. Whether TensorFlow may compile the step by XLA where the
            model is not compiled. It never does in a step that runs eagerly. Without
            effect on JAX and PyTorch. Defaults to True.
        name: String or None. Defaults to None.

    Raises:
        TypeError, ValueError: An argument has the wrong type or is out of range, a
            pattern of `modulate` matches no variable, or the optimizer is built on
            other variables already.
        AttributeError: A hyperparameter other than the learning rate is set once the
            optimizer is built.

    Examples:
        >>> import keras
        >>> from keras_neuroplastic import PlasticityModulated
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        >>> optimizer = PlasticityModulated(keras.optimizers.Adam(1e-3))
        >>> model.compile(optimizer=optimizer, loss="mse")

    Reference:

    - [NeuroPlastic](https://arxiv.org/abs/2604.26297), the published code.
    """

    rule = staticmethod(modulation.step)
    settings = modulation.Modulation
    further = "strength", "max_ratio", "modulate", "plasticity_scale", "jit_compile"

    def __init__(
        self,
        optimizer: Optimizer | str | dict[str, Any],
        strength: float | LearningRateSchedule = 1.0,
        max_ratio: float | LearningRateSchedule | None = 0.25,
        target: Literal["gain", "trust"] = "gain",
        modulate: Patterns | None = None,
        activity_weight: float = 1.0,
        gradient_weight: float = 0.0,
        memory_weight: float = 0.0,
        plasticity_scale: float | LearningRateSchedule = 1.0,
        min_alpha: float = 0.0,
        max_alpha: float = 5.0,
        per_parameter: bool = True,
        activity_decay: float = 0.95,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        max_update_norm: float | None = None,
        target_rms: float = 0.02,
        adaptation_rate: float = 0.0,
        epsilon: float = 1e-8,
        jit_compile: bool = True,
        name: str | None = None,
        **kwargs: Never,
    ) -> None:
        _inner.refuse_arguments(kwargs)
        _advice.refuse_arguments(type(self), kwargs, _advice.AROUND_ANOTHER)
        super().__init__(optimizer, name)
        if not isinstance(optimizer, keras.optimizers.Optimizer):
            _advice.warn_of_small_strength(self.inner_optimizer, strength)
        self.strength = strength
        self.max_ratio = max_ratio
        self.target = target
        self.modulate = modulate
        self.activity_weight = activity_weight
        self.gradient_weight = gradient_weight
        self.memory_weight = memory_weight
        self.plasticity_scale = plasticity_scale
        self.min_alpha = min_alpha
        self.max_alpha = max_alpha
        self.per_parameter = per_parameter
        self.activity_decay = activity_decay
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.max_update_norm = max_update_norm
        self.target_rms = target_rms
        self.adaptation_rate = adaptation_rate
        self.epsilon = epsilon
        self.jit_compile = jit_compile
        _validation.check_together(self)

    def build(self, variables):
        """Creates the slots of both, for a list of trainable variables."""
        if self.built:
            return
        variables = _variables.as_list(variables)
        chosen = self._choose(variables)
        super().build(variables)
        self._positions = {index: i for i, index in enumerate(chosen)}
        self.add_traces([variables[index] for index in chosen])
        self.load_waiting_state()

    def _choose(self, variables):
        patterns = ("",) if self.modulate is None else self.modulate
        paths = [_variables.path(variable) for variable in variables]
        _variables.check_matches("modulate", patterns, paths)
        return [
            index
            for index, (variable, path) in enumerate(zip(variables, paths, strict=True))
            if _variables.matches(path, patterns)
            and not self._overwrite_variable_with_gradient(variable)
        ]

    def _row(self, index):
        return self._positions[index]

    def step_around(self, gradients, variables, learning_rate):
        """The inner optimizer's step of these variables, and what plasticity adds."""
        chosen = [
            (densify(gradient, variable), variable)
            for gradient, variable in zip(gradients, variables, strict=True)
            if self._get_variable_index(variable) in self._positions
        ]
        inner = self.inner_optimizer
        inner_step = partial(type(inner)._backend_update_step, inner)
        if not chosen:
            inner_step(gradients, variables, learning_rate)
            return
        before = _steps.keep_values(self, [variable for _, variable in chosen])
        inner_step(gradients, variables, learning_rate)
        gradients, variables = map(list, zip(*chosen, strict=True))
        step = partial(_steps.one_by_one, self)
        # A subclass with an update rule of its own has it followed.
        if type(self).update_step is PlasticityModulated.update_step:
            step = _steps.choose(self, step)
        step = _steps.watched(self, step)
        if keras.backend.backend() != "jax" or not self.gradient_accumulation_steps:
            step(gradients, variables, learning_rate, before)
            return
        traces = [trace.value for trace in self.traces]
        step(gradients, variables, learning_rate, before)
        self._take_back(traces)

    def _take_back(self, traces):
        """To `traces`, if this step only accumulates: Keras makes it all the same."""
        count = self.inner_optimizer._iterations + 1
        moves = count % self.gradient_accumulation_steps == 0
        for trace, old in zip(self.traces, traces, strict=True):
            trace.assign(ops.where(moves, trace.value, old))

    def update_step(self, gradient, variable, learning_rate, before):
        """Modulates the step that the inner optimizer made from `before`."""
        self.step_by_rule(gradient, variable, learning_rate, before)

    def _scheduled(self):
        """What schedules may give: κ, σ and the limit of d."""
        return {
            "scale": self.now(self.plasticity_scale),
            "strength": self.now(self.strength),
            "max_ratio": self.now(self.max_ratio),
        }

    def _constants(self, index):
        return NONE
