"""What the example scripts share: a study is a grid of runs, each written once."""

from examples.arguments import number
from examples.harness.study import main

__all__ = ["main", "number"]
