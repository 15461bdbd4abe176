"""The step of the TensorFlow backend: compiled by XLA, also where the model is not.

Keras leaves a model uncompiled on a CPU, where every operation of the rules would run
by itself. Here the step of a variable is one compiled function, which variables of one
shape share, within a process: also those of other optimizers with the same settings.
"""

import warnings
from functools import cache, lru_cache, partial

import keras
import tensorflow as tf

from keras_neuroplastic import _sums, rules, statistics
from keras_neuroplastic._sums.tensorflow import compiled_for

# Compiled functions to keep, one for each kind of variable. What XLA compiled for one
# stays in memory as long as the process, so that to forget one gains little.
KEPT = 512


def choose(optimizer, otherwise):
    """`compiled_one_by_one`, or what is given where the user or XLA wants that.

    The user does who steps eagerly, as `run_eagerly=True` does, who has operations
    watched, as `tf.debugging.enable_check_numerics` does, or says `jit_compile=False`;
    XLA where it fails, or where variables are distributed but not mirrored.
    """
    strategy = optimizer._distribution_strategy
    mirrored = isinstance(strategy, tf.distribute.MirroredStrategy)
    plain = (
        not optimizer.jit_compile
        or tf.executing_eagerly()
        or (tf.distribute.has_strategy() and not mirrored)
        or strategy is not tf.distribute.get_strategy()
        or operations_are_watched()
        or not has_xla(devices(optimizer, mirrored))
    )
    return otherwise if plain else partial(compiled_one_by_one, optimizer)


def devices(optimizer, mirrored):
    """Where variables are; of all replicas, for they must agree on a step."""
    if mirrored:
        return optimizer._distribution_strategy.extended.worker_devices
    return {native(v).device for v in optimizer._trainable_variables}


def operations_are_watched():
    """Whether something adds operations to a graph, which XLA may not know."""
    with tf.Graph().as_default() as graph:
        tf.zeros(())
    return len(graph.get_operations()) > 1


def has_xla(devices):
    """Whether XLA makes what a step needs. A failure is told once, and tried again."""
    try:
        return all(map(probe, devices))
    except tf.errors.OpError as error:
        tell(f"XLA fails, and steps of the optimizer take longer: {error.message}")
        return False


@cache
def tell(text):
    warnings.warn(text, stacklevel=3)


def native(variable):
    """TensorFlow's variable, within Keras's or by itself."""
    return variable.value if isinstance(variable, keras.Variable) else variable


@cache  # of a success: an exception is not kept
def probe(device):
    """True, or an error."""

    @partial(tf.function, jit_compile=True, autograph=False)
    def roots_of_sums(x):
        return tf.sqrt(_sums.of_signals([tf.abs(x), x], None))

    with tf.init_scope(), tf.device(device), compiled_for(device):
        roots_of_sums(tf.ones((2, 2)))
    return True


def keep_values(optimizer, variables):
    """The values of variables, which later steps do not reach."""
    return [native(variable).read_value() for variable in variables]


def one_by_one(optimizer, gradients, variables, learning_rate, *others):
    """`optimizer.update_step` for each variable, on each device that has a copy."""

    def step(variable, gradient, learning_rate, *other):
        optimizer.update_step(gradient, variable, learning_rate, *other)

    everywhere(optimizer, step, gradients, variables, learning_rate, *others)


def everywhere(optimizer, step, gradients, variables, numbers, *others):
    """Calls step(variable, gradient, numbers, *other) for each copy of each variable.

    Gradients are summed over the copies before; `numbers` go to all alike.
    """
    pairs = list(zip(gradients, map(native, variables), strict=True))
    if tf.distribute.has_strategy():  # or else it is an operation for nothing
        pairs = optimizer._all_reduce_sum_gradients(pairs)

    def merged(strategy, pairs, numbers, *others):
        for (gradient, variable), *other in zip(pairs, *others, strict=True):
            arguments = gradient, numbers, *other
            strategy.extended.update(variable, step, args=arguments, group=False)

    tf.__internal__.distribute.interim.maybe_merge_call(
        merged, optimizer._distribution_strategy, pairs, numbers, *others
    )


def compiled_one_by_one(optimizer, gradients, variables, learning_rate, *others):
    """Does what `optimizer.update_step` does, for each copy of each variable."""
    numbers = {"eta": learning_rate, **optimizer._scheduled()}
    constants = {k: v for k, v in numbers.items() if v is None or isinstance(v, float)}
    tensors = {
        k: tf.convert_to_tensor(v) for k, v in numbers.items() if k not in constants
    }

    def step(theta, gradient, tensors, *other):
        index = optimizer._get_variable_index(theta)
        compiled_step = compiled(
            optimizer.rule,
            optimizer._plasticity,
            tuple({**constants, **optimizer._constants(index)}.items()),
            # One function for each kind, or TensorFlow would warn of so many traces.
            (theta.shape, theta.dtype, theta.device, gradient.dtype),
        )
        # Their handles: a function goes no more once a variable is gone that it was
        # traced with.
        slots = {k: slot.value.handle for k, slot in optimizer._slots(index).items()}
        with tf.device(theta.device):
            compiled_step(theta.handle, slots, (gradient, *other), tensors)

    everywhere(optimizer, step, gradients, variables, tensors, *others)


@lru_cache(maxsize=KEPT)
def compiled(rule, settings, constants, kind):
    """A compiled step of the variables of a kind, with certain constants."""
    shape, dtype, device, _ = kind
    slot_dtype = tf.as_dtype(rules.step_dtype(dtype))
    shapes = statistics.shapes(shape)  # all other slots are like the variable

    def read(handle, dtype, name=None):
        value = tf.raw_ops.ReadVariableOp(resource=handle, dtype=dtype)
        return tf.ensure_shape(value, shapes.get(name, shape))

    def step(theta, slots, arrays, tensors):
        with compiled_for(device):
            new_theta, new = rule(
                settings,
                read(theta, dtype),
                {name: read(slot, slot_dtype, name) for name, slot in slots.items()},
                *arrays,
                **dict(constants),
                **tensors,
            )
        new_theta = tf.cast(new_theta, dtype)
        tf.raw_ops.AssignVariableOp(resource=theta, value=new_theta)
        for name, slot in slots.items():
            tf.raw_ops.AssignVariableOp(resource=slot, value=new[name])

    return tf.function(step, jit_compile=True, autograph=False)
