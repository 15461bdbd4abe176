"""Command-line arguments with ranges, and their errors in one line."""

import argparse
from pathlib import Path


def number(kind, low, high, low_allowed=True):
    """A converter for argparse that refuses what lies outside the range."""
    left = "[" if low_allowed else "("

    def convert(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        inside = value is not None and (low < value <= high or value == low)
        if not inside or (value == low and not low_allowed):
            name = "an integer" if kind is int else "a number"
            raise argparse.ArgumentTypeError(
                f"{text!r} is not {name} in {left}{low}, {high}]"
            )
        return value

    return convert


count = number(int, 1, 10**6)
seed = number(int, 0, 2**32 - 1)


def results_file(text):
    """A path; the same without .jsonl is the folder of what is not finished."""
    if not text.endswith(".jsonl"):
        raise argparse.ArgumentTypeError(f"{text!r} does not end in .jsonl")
    return Path(text)


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"{self.prog}: {message}. See --help.\n")
