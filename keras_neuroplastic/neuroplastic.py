"""The NeuroPlastic optimizer."""

import keras
from keras import ops

from keras_neuroplastic import _validation, rules
from keras_neuroplastic._base import PlasticityOptimizer
from keras_neuroplastic._fast import fast
from keras_neuroplastic.schedules import PlasticityWarmup


@keras.saving.register_keras_serializable(package="keras_neuroplastic")
class NeuroPlastic(PlasticityOptimizer):
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
        epsilon: ε. Float, at least 1e-37. Defaults to 1e-8.
        skip_nonfinite: Boolean. True: a variable whose gradient, after clipping,
            holds a NaN or an infinity keeps its value and its traces. Defaults to
            False.
        weight_decay: λ. Float, at least 0, or None. Decoupled. Defaults to None.
        weight_decay_exclude: Regular expression or list of them. A variable whose
            `path` contains a match is not decayed. Defaults to None.
        clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name: As in every Keras optimizer; at most one of the three clips.

    Raises:
        TypeError, ValueError: An argument has the wrong type or is out of range.
        AttributeError: A hyperparameter other than the learning rate is set once the
            optimizer is built, when compiled steps could no longer see it.

    Example:

    >>> import keras
    >>> from keras_neuroplastic import NeuroPlastic
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    >>> model.compile(optimizer=NeuroPlastic(), loss="mse")

    Reference:

    - [NeuroPlastic](https://arxiv.org/abs/2604.26297), section 3.
    """

    def __init__(
        self,
        learning_rate=0.1,
        activity_weight=0.4,
        gradient_weight=0.4,
        memory_weight=0.2,
        plasticity_scale=1.0,
        min_alpha=0.2,
        max_alpha=2.0,
        per_parameter=True,
        activity_decay=0.95,
        beta_1=0.9,
        beta_2=0.99,
        max_update_norm=1.0,
        target_rms=0.02,
        adaptation_rate=0.01,
        epsilon=1e-8,
        skip_nonfinite=False,
        weight_decay=None,
        weight_decay_exclude=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        use_ema=False,
        ema_momentum=0.99,
        ema_overwrite_frequency=None,
        loss_scale_factor=None,
        gradient_accumulation_steps=None,
        name=None,
    ):
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
        self.epsilon = epsilon
        self.skip_nonfinite = skip_nonfinite
        self.weight_decay_exclude = weight_decay_exclude
        _validation.check_together(self)

    @classmethod
    def gradient_only(cls, learning_rate=0.1, **kwargs):
        """The ablation of the paper: the gradient signal alone, without any slots.

        The same as weights (0, 1, 0). Other arguments are those of the class.
        """
        return cls(learning_rate, 0.0, 1.0, 0.0, **kwargs)

    @classmethod
    def paper(cls, steps_per_epoch, **overrides):
        """The configuration that the paper locked on MNIST and never retuned.

        η = 0.1 and κ = 2, reached in stairs over two epochs; the rest as by default.

        Args:
            steps_per_epoch: Integer, at least 1. Weight updates an epoch.
            **overrides: Arguments of the class, each replacing a locked one.
        """
        steps = _validation.integer("steps_per_epoch", steps_per_epoch, 1)
        warmup = PlasticityWarmup(2 * steps, scale=2.0, stair_steps=steps)
        return cls(**{"learning_rate": 0.1, "plasticity_scale": warmup, **overrides})

    def build(self, variables):
        """Creates the slots of `variables`, a list of trainable variables."""
        if self.built:
            return
        super().build(variables)
        names = ["activity"] if self.activity_weight else []
        names += ["momentum", "variance"] if self.memory_weight else []
        slots = self.add_slots(variables, names)
        self._activities = slots.get("activity", [])
        self._momentums = slots.get("momentum", [])
        self._variances = slots.get("variance", [])
        self.load_waiting_state()

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        step = super()._backend_update_step
        # A subclass with an update rule of its own has it followed.
        if fast and type(self).update_step is NeuroPlastic.update_step:
            step = fast.choose_step(self, step)
        step(grads, trainable_variables, learning_rate)

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable and its traces; the class docstring has the rule."""
        index = self._get_variable_index(variable)
        slots, decayed = self._slots(index), self._decayed[index]
        self.move(
            gradient, variable, slots, learning_rate, self.current_scale(), decayed
        )

    def move(self, gradient, variable, slots, learning_rate, scale, decayed):
        """Assigns a variable and its slots by name what they are after a step."""
        old = {name: ops.convert_to_tensor(slot) for name, slot in slots.items()}
        theta, new = self.moved(gradient, variable, old, learning_rate, scale, decayed)
        # Assigned last: on two backends an old value is a view of its variable.
        self.assign(variable, rules.stored(theta))
        for name, slot in slots.items():
            self.assign(slot, rules.stored(new[name]))

    def moved(self, g, theta, old, eta, scale, decayed, axis=None):
        """The value of a variable and its traces after a step, by the rules.

        With an `axis`, each row of a matrix is a variable.
        """
        dtype = rules.step_dtype(theta.dtype)
        g, theta, eta = (ops.cast(x, dtype) for x in (g, theta, eta))
        scale = scale if isinstance(scale, float) else ops.cast(scale, dtype)
        new = rules.update_traces(old, g, self.activity_decay, self.beta_1, self.beta_2)
        signals = rules.signals(new, g, self.epsilon)
        means = rules.means(signals, axis)
        gains = rules.gains(means, self.epsilon)
        alpha = rules.plasticity(
            signals,
            means,
            gains,
            weights=(self.activity_weight, self.gradient_weight, self.memory_weight),
            scale=scale,
            min_alpha=self.min_alpha,
            max_alpha=self.max_alpha,
            per_parameter=self.per_parameter,
        )
        u = rules.stabilize(
            alpha,
            g,
            means,
            gains,
            max_update_norm=self.max_update_norm,
            target_rms=self.target_rms,
            adaptation_rate=self.adaptation_rate,
            epsilon=self.epsilon,
            axis=axis,
        )
        new_theta = theta - eta * u
        if decayed:
            new_theta = new_theta - eta * self.weight_decay * theta
        if self.skip_nonfinite:
            finite = ops.all(ops.isfinite(g), axis, keepdims=axis is not None)
            new_theta = ops.where(finite, new_theta, theta)
            new = {name: ops.where(finite, new[name], old[name]) for name in new}
        return new_theta, new

    def _slots(self, index):
        """The slots of one variable by name, those of signals in use."""
        lists = self._activities, self._momentums, self._variances
        names = "activity", "momentum", "variance"
        return {k: slots[index] for k, slots in zip(names, lists, strict=True) if slots}
