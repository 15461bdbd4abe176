"""What several arguments are annotated with."""

from collections.abc import Callable
from typing import Any

from keras.optimizers.schedules import LearningRateSchedule

# A callable gives the rate of a step.
LearningRate = float | LearningRateSchedule | Callable[[], Any]
# Regular expressions.
Patterns = str | list[str] | tuple[str, ...]
