"""The step of the TensorFlow backend: compiled by XLA, also where the model is not.

Keras leaves a model uncompiled on a CPU, where every operation of the rules would run
by itself. Here the step of a variable is one compiled function, which variables of one
shape share, within a process: also those of other optimizers with the same settings.
"""

import warnings
from functools import cache, lru_cache, partial

import keras
import tensorflow as tf

from keras_neuroplastic import _sums, collecting, statistics
from keras_neuroplastic._dtypes import step_dtype
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


def watched(optimizer, step):
    """The step, which collects statistics by itself, but for one that Keras makes."""
    ours = isinstance(step, partial)
    if ours or not optimizer.collects_statistics:
        return step
    return partial(one_by_one, optimizer)


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
        optimizer._seen.clear()  # of a step that failed
        optimizer.update_step(gradient, variable, learning_rate, *other)
        return optimizer._seen.pop()[1] if optimizer._seen else None

    everywhere(optimizer, step, collect, gradients, variables, learning_rate, *others)


def everywhere(optimizer, step, collect, gradients, variables, numbers, *others):
    """Calls step(variable, gradient, numbers, *other) for each copy of each variable.

    Gradients are summed over the copies before; `numbers` go to all alike. What it
    returns of all variables, if that was seen of them, goes to `collect`.
    """
    pairs = list(zip(gradients, map(native, variables), strict=True))
    if tf.distribute.has_strategy():  # or else it is an operation for nothing
        pairs = optimizer._all_reduce_sum_gradients(pairs)

    def merged(strategy, pairs, numbers, *others):
        seen, rows = [], []
        for (gradient, variable), *other in zip(pairs, *others, strict=True):
            arguments = gradient, numbers, *other
            found = strategy.extended.update(
                variable, step, args=arguments, group=False
            )
            if isinstance(found, statistics.Seen):
                seen.append(found)
                rows.append(optimizer._row(optimizer._get_variable_index(variable)))
        if not seen:
            return
        slots = map(native, (optimizer._totals, optimizer._sample))
        slots = zip(*map(strategy.experimental_local_results, slots), strict=True)
        for copy, (totals, sample) in enumerate(slots):
            parts = [statistics.Seen(*(x[copy] for x in found)) for found in seen]
            settings = optimizer._plasticity, tuple(optimizer._sizes), tuple(rows)
            with tf.device(totals.device):
                collect(*settings, totals.dtype)(totals.handle, sample.handle, parts)

    tf.__internal__.distribute.interim.maybe_merge_call(
        merged, optimizer._distribution_strategy, pairs, numbers, *others
    )


def collect(settings, sizes, rows, dtype):
    """What adds the `Seen` of such rows to the totals and samples with such handles."""
    widths = len(collecting.TOTALS), statistics.width(sizes)
    shapes = [(len(sizes), width) for width in widths]

    def add(totals, sample, parts):
        handles = totals, sample
        old = [read(h, dtype, s) for h, s in zip(handles, shapes, strict=True)]
        seen = statistics.rows(parts, [[row] for row in rows], sizes, dtype.name)
        weights = tf.constant(collecting.weights(sizes), dtype)
        new = collecting.collect(*old, settings, seen, weights)
        for handle, value in zip(handles, new, strict=True):
            tf.raw_ops.AssignVariableOp(resource=handle, value=value)

    return add


@lru_cache(maxsize=KEPT)
def compiled_collect(*arguments):
    return tf.function(collect(*arguments), jit_compile=True, autograph=False)


def compiled_one_by_one(optimizer, gradients, variables, learning_rate, *others):
    """Does what `optimizer.update_step` does, for each copy of each variable."""
    numbers = {"eta": learning_rate, **optimizer._scheduled()}
    constants = {k: v for k, v in numbers.items() if v is None or isinstance(v, float)}
    tensors = {
        k: tf.convert_to_tensor(v) for k, v in numbers.items() if k not in constants
    }

    def step(theta, gradient, tensors, *other):
        index = optimizer._get_variable_index(theta)
        each = {**optimizer._constants(index), "watched": optimizer.grid(index)}
        compiled_step = compiled(
            optimizer.rule,
            optimizer._plasticity,
            tuple({**constants, **each}.items()),
            # One function for each kind, or TensorFlow would warn of so many traces.
            (theta.shape, theta.dtype, theta.device, gradient.dtype),
        )
        # Their handles: a function goes no more once a variable is gone that it was
        # traced with.
        slots = {k: slot.value.handle for k, slot in optimizer._slots(index).items()}
        with tf.device(theta.device):
            return compiled_step(theta.handle, slots, (gradient, *other), tensors)

    arguments = gradients, variables, tensors
    everywhere(optimizer, step, compiled_collect, *arguments, *others)


def read(handle, dtype, shape):
    value = tf.raw_ops.ReadVariableOp(resource=handle, dtype=dtype)
    return tf.ensure_shape(value, shape)


@lru_cache(maxsize=KEPT)
def compiled(rule, settings, constants, kind):
    """A compiled step of the variables of a kind, with certain constants."""
    shape, dtype, device, _ = kind
    slot_dtype = tf.as_dtype(step_dtype(dtype))

    def step(theta, slots, arrays, tensors):
        with compiled_for(device):
            new_theta, new, seen = rule(
                settings,
                read(theta, dtype, shape),
                {name: read(slot, slot_dtype, shape) for name, slot in slots.items()},
                *arrays,
                **dict(constants),
                **tensors,
            )
        new_theta = tf.cast(new_theta, dtype)
        tf.raw_ops.AssignVariableOp(resource=theta, value=new_theta)
        for name, slot in slots.items():
            tf.raw_ops.AssignVariableOp(resource=slot, value=new[name])
        return seen

    return tf.function(step, jit_compile=True, autograph=False)
