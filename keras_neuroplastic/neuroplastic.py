"""The NeuroPlastic optimizer."""

from typing import Any, Never, Self

import keras
from keras.optimizers.schedules import LearningRateSchedule

from keras_neuroplastic import _advice, _steps, _validation, _variables, rules
from keras_neuroplastic._types import LearningRate, Patterns
from keras_neuroplastic._updating import UpdatingOptimizer
from keras_neuroplastic.hyperparameters import Update
from keras_neuroplastic.residuals import Residual
from keras_neuroplastic.schedules import PlasticityWarmup


@keras.saving.register_keras_serializable(package="keras_neuroplastic")
class NeuroPlastic(UpdatingOptimizer):
    """Gradient descent whose every step is scaled by a plasticity coefficient.

    For each variable with gradient `g`, elementwise, means and norms over the
    variable, `N(x) = x / (mean(x) + ε)`:

    ```
    a <- δ a + (1 - δ) |g|                                   activity trace
    m <- β₁ m + (1 - β₁) g,   v <- β₂ v + (1 - β₂) g²        memory traces
    α_gradient = clip(N(|g|), α_min, α_max)
    α_full = clip(w_a N(a) + w_g N(|g|) + w_m N(|m| / (√v + ε)), α_min, α_max)
    α = α_gradient + κ (α_full - α_gradient),   u = α g
    u <- u c / (‖u‖ + ε)   where ‖u‖ > c
    u <- u clip(1 + ρ (r* - √(mean(u²) + ε)), 0.5, 1.5)
    θ <- θ - η λ θ - η u
    ```

    Traces start at zero, are not bias-corrected, and exist only where their signal
    has weight. They are float32 for float16 and bfloat16 variables.

    Args:
        learning_rate: η. Float, at least 0, a
            `keras.optimizers.schedules.LearningRateSchedule`, or a callable
            without arguments. Defaults to 0.1.
        activity_weight: w_a. Float in [0, 1]; the three weights sum to 1.
            Defaults to 0.4.
        gradient_weight: w_g, likewise. Defaults to 0.4.
        memory_weight: w_m, likewise. Defaults to 0.2.
        plasticity_scale: κ. Float, at least 0, or a `LearningRateSchedule` of the
            number of updates made, such as `PlasticityWarmup`. 0 leaves the
            gradient signal alone; above 1, α may leave its range and turn
            negative. Defaults to 1.0.
        min_alpha: α_min. Float, at least 0. Defaults to 0.2.
        max_alpha: α_max. Float, at least `min_alpha`. Defaults to 2.0.
        per_parameter: Boolean. False: one α for the whole variable, from the means
            of the two signal sums. Defaults to True.
        activity_decay: δ. Float in [0, 1). Defaults to 0.95.
        beta_1: β₁. Float in [0, 1). Defaults to 0.9.
        beta_2: β₂. Float in [0, 1). Defaults to 0.99.
        max_update_norm: c. Float above 0, or None for no clipping. Defaults to 1.0.
        target_rms: r*. Float, at least 0. Defaults to 0.02.
        adaptation_rate: ρ. Float, at least 0; 0 switches the last correction off.
            Defaults to 0.01.
        residual: `BoundedResidual`, `OrthogonalResidual` or None. What u is made of in
            place of α g. Defaults to None.
        epsilon: ε. Float, at least 1e-37. Defaults to 1e-8.
        skip_nonfinite: Boolean. True: a variable whose gradient, after clipping,
            holds a NaN or an infinity keeps its value and its traces. Defaults to
            False.
        weight_decay: λ. Float, at least 0, or None. Decoupled. A subclass whose
            `update_step` does not call ours has to decay itself. Defaults to None.
        weight_decay_exclude: Regular expression or list of them. A variable whose
            `path` contains a match is not decayed. Defaults to None.
        clipnorm: Float above 0, or None. As in every Keras optimizer, like those that
            follow; at most one of the three clips. Defaults to None.
        clipvalue: Float above 0, or None. Defaults to None.
        global_clipnorm: Float above 0, or None. Defaults to None.
        use_ema: Boolean. Whether to average the weights. Defaults to False.
        ema_momentum: Float in [0, 1]. Defaults to 0.99.
        ema_overwrite_frequency: Integer, at least 1, or None. Defaults to None.
        loss_scale_factor: Float above 0, or None. Defaults to None.
        gradient_accumulation_steps: Integer, at least 2, or None. Defaults to None.
        jit_compile: Boolean. Whether TensorFlow may compile the step by XLA where the
            model is not compiled. It never does in a step that runs eagerly. Without
            effect on JAX and PyTorch. Defaults to True.
        name: String or None. Defaults to None.

    Raises:
        TypeError, ValueError: An argument has the wrong type or is out of range, a
            variable has a dtype other than float16, bfloat16, float32 and float64, or
            a gradient cannot be made a tensor of its variable's shape.
        AttributeError: A hyperparameter other than the learning rate is set once the
            optimizer is built, when compiled steps could no longer see it.

    Examples:
        >>> import keras
        >>> from keras_neuroplastic import NeuroPlastic
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        >>> model.compile(optimizer=NeuroPlastic(), loss="mse")

    Reference:

    - [NeuroPlastic](https://arxiv.org/abs/2604.26297), section 3.
    """

    rule = staticmethod(rules.step)
    settings = Update
    further = "plasticity_scale", "weight_decay_exclude", "jit_compile"

    def __init__(
        self,
        learning_rate: LearningRate = 0.1,
        activity_weight: float = 0.4,
        gradient_weight: float = 0.4,
        memory_weight: float = 0.2,
        plasticity_scale: float | LearningRateSchedule = 1.0,
        min_alpha: float = 0.2,
        max_alpha: float = 2.0,
        per_parameter: bool = True,
        activity_decay: float = 0.95,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        max_update_norm: float | None = 1.0,
        target_rms: float = 0.02,
        adaptation_rate: float = 0.01,
        residual: Residual | None = None,
        epsilon: float = 1e-8,
        skip_nonfinite: bool = False,
        weight_decay: float | None = None,
        weight_decay_exclude: Patterns | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        jit_compile: bool = True,
        name: str | None = None,
        **kwargs: Never,
    ) -> None:
        _advice.refuse_arguments(type(self), kwargs, _advice.BY_ITSELF)
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            name=name,
        )
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
        self.residual = residual
        self.epsilon = epsilon
        self.skip_nonfinite = skip_nonfinite
        self.weight_decay_exclude = weight_decay_exclude
        self.jit_compile = jit_compile
        _validation.check_together(self)
        _advice.warn_of_small_rate(self, learning_rate)

    @classmethod
    def gradient_only(cls, learning_rate: LearningRate = 0.1, **kwargs: Any) -> Self:
        """The ablation of the paper: the gradient signal alone, without any slots.

        The same as weights (0, 1, 0). Other arguments are those of the class.
        """
        _advice.refuse_weights("gradient_only", kwargs)
        return cls(learning_rate, 0.0, 1.0, 0.0, **kwargs)

    @classmethod
    def paper(cls, steps_per_epoch: int, **overrides: Any) -> Self:
        """The configuration that the paper locked on MNIST and never retuned.

        η = 0.1 and κ = 2, reached in stairs over two epochs; the rest as by default.

        Args:
            steps_per_epoch: Integer, at least 1. Weight updates an epoch.
            **overrides: Arguments of the class, each replacing a locked one.
        """
        most = _validation.LARGEST_COUNT // 2
        steps = _validation.integer("steps_per_epoch", steps_per_epoch, 1, most)
        warmup = PlasticityWarmup(2 * steps, scale=2.0, stair_steps=steps)
        return cls(**{"learning_rate": 0.1, "plasticity_scale": warmup, **overrides})

    @classmethod
    def many_inputs(cls, learning_rate: LearningRate = 0.3, **overrides: Any) -> Self:
        """For a linear model of few examples, most of whose inputs are noise.

        The activity signal alone, α in [0, 5], neither norm limit nor gain: a weight
        whose gradients have long been small takes steps that are smaller still. It is
        not of the paper: the results on images beside columns of noise speak for it,
        those on genes neither for nor against it. Nothing limits an update: a dense
        network there learned at 0.03, and nothing from 0.1 on.

        Args:
            learning_rate: η, as of the class. Defaults to 0.3; in the linear models of
                the results the best was 0.1 to 1 beside noise, 0.03 to 0.1 without.
            **overrides: Arguments of the class, each replacing one of these.
        """
        signals = {"activity_weight": 1.0, "gradient_weight": 0.0, "memory_weight": 0.0}
        limits = {"min_alpha": 0.0, "max_alpha": 5.0}
        free = {"max_update_norm": None, "adaptation_rate": 0.0}
        return cls(learning_rate, **{**signals, **limits, **free, **overrides})

    def build(self, variables):
        """Creates the slots of `variables`, a list of trainable variables."""
        if self.built:
            return
        variables = _variables.as_list(variables)
        super().build(variables)
        self.add_traces(variables)
        self.load_waiting_state()

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        step = super()._backend_update_step
        # A subclass with an update rule of its own has it followed.
        if type(self).update_step is NeuroPlastic.update_step:
            step = _steps.choose(self, step)
        step = _steps.watched(self, step)
        step(grads, trainable_variables, learning_rate)

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable and its traces; the class docstring has the rule."""
        self.step_by_rule(gradient, variable, learning_rate)

    def _scheduled(self):
        """What schedules may give: κ, and λ of a residual form."""
        strength = getattr(self.residual, "strength", None)
        return {
            "scale": self.now(self.plasticity_scale),
            "residual_strength": self.now(strength),
        }
