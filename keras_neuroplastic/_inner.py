"""An optimizer within another one: which may be one, and what it keeps for itself."""

import keras
from keras import optimizers

from keras_neuroplastic import _advice

# What belongs to the inner optimizer, and is read and set there.
DELEGATED = (
    "_iterations",
    "_learning_rate",
    "learning_rate",
    "weight_decay",
    "clipnorm",
    "clipvalue",
    "global_clipnorm",
    "use_ema",
    "ema_momentum",
    "ema_overwrite_frequency",
    "loss_scale_factor",
    "gradient_accumulation_steps",
    "_model_variables_moving_average",
)


def accept(optimizer, custom_objects=None):
    """The optimizer that an instance, a name or a configuration stands for."""
    received = f"Received: optimizer={optimizer!r}"
    if isinstance(optimizer, dict):
        found = deserialize(optimizer, custom_objects, received)
    elif isinstance(optimizer, str):
        try:
            found = optimizers.get(optimizer)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                "`optimizer` must name an optimizer: write "
                f"{_advice.similar_optimizer(optimizer)!r}, or give one. {received}"
            ) from error
    else:
        found = optimizer
    if not isinstance(found, optimizers.Optimizer):
        raise TypeError(
            "`optimizer` must be a keras.optimizers.Optimizer, its name or its "
            f"configuration. {received}"
        )
    refuse_wrappers(found, received)
    refuse_taken(found)
    return found


def deserialize(config, custom_objects, received):
    """The optimizer of a configuration, a saved one or one written by hand."""
    try:
        found = optimizers.deserialize(dict(config), custom_objects)
        if not isinstance(found, optimizers.Optimizer):
            # Some, as Lamb, are not among those that Keras knows by name.
            found = keras.saving.deserialize_keras_object(config, custom_objects)
        return found
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            "`optimizer` must be a configuration such as {'class_name': 'Adam', "
            f"'config': {{'learning_rate': 0.001}}}}: {error} {received}"
        ) from error


def serialize(optimizer):
    """The configuration of an optimizer, also for the other backends."""
    config = keras.saving.serialize_keras_object(optimizer)
    # PyTorch has its own classes for Keras's, which go by the same names. A class of a
    # script has no module.
    if (config["module"] or "").startswith("keras.src.backend."):
        config["module"] = "keras.optimizers"
        config["registered_name"] = None
    return config


def refuse_wrappers(optimizer, received):
    """A ValueError for what can only be around, with what to write instead."""
    if isinstance(optimizer, optimizers.LossScaleOptimizer):
        advice = "LossScaleOptimizer(PlasticityModulated(...))"
    elif isinstance(optimizer, getattr(optimizers, "MultiOptimizer", ())):
        advice = "a MultiOptimizer of optimizers that are each PlasticityModulated(...)"
    elif hasattr(optimizer, "inner_optimizer"):
        advice = "PlasticityModulated(...) around the inner optimizer alone, once"
    else:
        return
    raise ValueError(
        f"`optimizer` must not be a wrapper itself: write {advice}. {received}"
    )


def is_within_another(optimizer):
    """Whether another one makes its steps."""
    return "_backend_update_step" in vars(optimizer)


def refuse_taken(optimizer):
    """A ValueError for an optimizer that works within another one already."""
    if is_within_another(optimizer):
        raise ValueError(
            "`optimizer` must not be within another PlasticityModulated: give each one "
            f"of its own. Received: optimizer={optimizer!r}"
        )


def refuse_arguments(arguments):
    """A TypeError for arguments that are the inner optimizer's."""
    for name, value in arguments.items():
        keras_name = _advice.ELSEWHERE.get(name, name)
        if keras_name in DELEGATED:
            raise TypeError(
                f"`{name}` is given to the inner optimizer, as in "
                f"Adam({keras_name}={value!r}). Received: {name}={value!r}"
            )


def refuse_other_variables(optimizer, variables):
    """A ValueError where the optimizer has been built on other variables."""
    built_on = {id(v) for v in optimizer._trainable_variables}
    if built_on != {id(v) for v in variables}:
        raise ValueError(
            "`optimizer` must not be built on other variables. Received: "
            f"{optimizer.name!r}, built on {len(built_on)} others"
        )


def delegated(name):
    """An attribute that is that of the inner optimizer."""

    def get(self):
        return getattr(self.inner_optimizer, name)

    def set_(self, value):
        # Not yet there while the constructor of Keras sets its defaults.
        if hasattr(self, "inner_optimizer"):
            setattr(self.inner_optimizer, name, value)

    return property(get, set_)
