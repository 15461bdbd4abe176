"""What the example scripts share: a study is a grid of runs, each written once."""

from examples.harness.study import main, number

__all__ = ["main", "number"]
