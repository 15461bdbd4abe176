"""Checks of the variables and gradients that an optimizer is given, and their paths."""

import re

from keras import Variable, ops
from keras.backend import standardize_dtype

# The rules know no others.
DTYPES = "float16", "bfloat16", "float32", "float64"


def as_list(variables):
    """A list of the variables; a TypeError for a single one."""
    if isinstance(variables, Variable) or ops.is_tensor(variables):
        raise TypeError(
            f"`variables` must be a list of variables. Received: {variables!r}"
        )
    return list(variables)


def check_counts(gradients, variables):
    """A ValueError unless there is one gradient, or None, for each variable."""
    if len(gradients) != len(variables):
        raise ValueError(
            "There must be one gradient for each variable. Received: "
            f"{len(gradients)} gradients, {len(variables)} variables"
        )


def check_dtypes(variables):
    """A TypeError for a variable that the rules would spoil, as a complex one."""
    for variable in variables:
        dtype = standardize_dtype(variable.dtype)
        overwritten = getattr(variable, "overwrite_with_gradient", False)
        if dtype not in DTYPES and not overwritten:
            raise TypeError(
                f"Variables must have one of the dtypes {', '.join(DTYPES)}. "
                f"Received: {path(variable)!r} of dtype {dtype}"
            )


def gradient(value, variable):
    """The gradient of a variable, not a sparse one, as a tensor of its shape."""
    moves = may_move(value)
    if isinstance(value, Variable) or not ops.is_tensor(value):
        try:
            value = ops.convert_to_tensor(value, variable.dtype)
        except Exception as error:  # each backend has its own
            raise TypeError(
                f"The gradient of {path(variable)!r} must be a tensor, or what can be "
                f"converted into one. Received: {type(value).__name__} {value!r}"
            ) from error
    if moves:
        value = ops.copy(value)
    if value.shape == variable.shape:
        return value
    try:
        return ops.broadcast_to(value, variable.shape)
    except Exception as error:
        raise ValueError(
            f"The gradient of {path(variable)!r} must have its shape, "
            f"{tuple(variable.shape)}, or one that can be broadcast to it. "
            f"Received: a gradient of shape {tuple(value.shape)}"
        ) from error


def may_move(value):
    """Whether a gradient may be a variable, which a step moves before it reads it."""
    # Of Keras and TensorFlow, or of PyTorch, where other tensors have gradients, too.
    return hasattr(value, "assign") or getattr(value, "requires_grad", False)


def path(variable):
    """What to call a variable, which may be one of TensorFlow's own."""
    return getattr(variable, "path", variable.name)


def check_matches(name, expressions, paths, kind="a variable"):
    """A ValueError for an expression that no path matches, if there are any paths."""
    for expression in expressions:
        if paths and not any(matches(path, [expression]) for path in paths):
            raise ValueError(
                f"`{name}` must match the path of {kind}. Received: "
                f"{name}={expression!r}, for {', '.join(paths)}"
            )


def matches(name, expressions):
    """Whether one of several regular expressions is found in a variable's path."""
    return any(re.search(expression, name) for expression in expressions)
