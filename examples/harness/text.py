"""The words of Python's own library: a text that needs no download."""

import functools
import hashlib
import re
import sysconfig
from collections import Counter
from pathlib import Path

import numpy as np

# Of every ten files, in the order of their names.
PARTS = {"train": range(8), "validation": [8], "test": [9]}
WORD = r"\w+|[^\w\s]"


def files():
    """Every module at the top of the library, the help topics and the licence."""
    folder = Path(sysconfig.get_path("stdlib"))
    found = [*folder.glob("*.py"), folder / "pydoc_data/topics.py"]
    found += folder.glob("LICENSE.txt")
    # That one is of the build, not of the version.
    return sorted(f for f in found if not f.name.startswith("_sysconfigdata"))


def number(parts, size):
    """The words of each part as numbers: the commonest of "train" from 1, others 0."""
    counts = Counter(parts["train"]).items()
    commonest = sorted(counts, key=lambda item: (-item[1], item[0]))[: size - 1]
    numbers = {word: i for i, (word, _) in enumerate(commonest, 1)}
    return {
        part: np.array([numbers.get(word, 0) for word in words], dtype="int32")
        for part, words in parts.items()
    }


@functools.lru_cache(maxsize=1)
def load(size):
    """Dict of the words of each part as numbers below size, and a hash of the text."""
    words = [re.findall(WORD, f.read_text("utf-8", "ignore")) for f in files()]
    parts = {
        part: [word for i, file in enumerate(words) if i % 10 in tens for word in file]
        for part, tens in PARTS.items()
    }
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
    return number(parts, size), digest


def before_each(words, count):
    """At every place that has as many before it: those words, and its own."""
    windows = np.lib.stride_tricks.sliding_window_view(words, count)
    return windows[:-1], words[count:]
