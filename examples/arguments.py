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


PICTURES = ".png", ".pdf", ".svg"
count = number(int, 1, 10**6)
seed = number(int, 0, 2**32 - 1)
learning_rate = number(float, 0, 100, low_allowed=False)


def results_file(text):
    """A path; the same without .jsonl is the folder of what is not finished."""
    path = Path(text)
    if path.suffix != ".jsonl":
        raise argparse.ArgumentTypeError(f"{text!r} does not end in NAME.jsonl")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a folder")
    if is_blocked(path.with_suffix("")):
        raise argparse.ArgumentTypeError(f"{text!r} needs a folder where a file is")
    return path


def is_blocked(folder):
    """Whether a file is where it would have to be, or what it lies in."""
    return any(path.is_file() for path in (folder, *folder.parents))


def folder(text):
    path = Path(text)
    if is_blocked(path):
        raise argparse.ArgumentTypeError(f"{text!r} is no folder")
    return path


def picture_file(text):
    """A path in a folder that is there, for what is drawn at the end."""
    path = Path(text)
    if path.suffix not in PICTURES:
        allowed = ", ".join(PICTURES)
        raise argparse.ArgumentTypeError(f"{text!r} does not end in one of {allowed}")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a folder")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} lies in no folder that exists")
    return path


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"{self.prog}: {message}. See --help.\n")
