"""Results files: one finished run, one line of JSON."""

import errno
import json
import os
import sys

from filelock import FileLock

from examples.harness.metric import metric_of

# What the settings in a record must hold for anyone to read it.
NEEDED = {"study", "optimizer", "learning_rate", "tuned", "seed"}


def parse(line):
    """The record in a line, None if it holds none."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(record, dict) and all(
        isinstance(record.get(part), dict) for part in ("config", "metrics")
    )
    if not (whole and record["config"].keys() >= NEEDED):
        return None
    return record if record["metrics"].get(metric_of([record])) else None


class Reader:
    """Reads a file of runs that grows, each line once.

    A missing file has none. A half-written last line is not one. Exits with a message
    if any other line is not a result.
    """

    def __init__(self, path):
        self.path, self.lines, self.end = path, 0, 0

    def new(self):
        """List of the runs since the last time."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self.end)
            *lines, rest = file.read().split(b"\n")
        records = [parse(line) for line in lines]
        if None in records:
            number = self.lines + records.index(None) + 1
            sys.exit(
                f"{self.path}: line {number} is not a result. Delete that "
                "line, or move the file away, and give the command again."
            )
        self.lines += len(lines)
        self.end += sum(len(line) + 1 for line in lines)
        # A last line that only lacks its end will come again with it.
        return [*records, parse(rest)] if parse(rest) else records


def read(path):
    """All runs in a file, as `Reader` reads them."""
    return Reader(path).new()


def append(path, record):
    """Adds a line, whole or not at all, whoever else writes to the file."""
    line = json.dumps(record, allow_nan=False).encode() + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"), path.open("ab+", buffering=0) as file:
        file.seek(0)
        content = file.read()
        rest = content.rpartition(b"\n")[2]
        end = len(content)
        if parse(rest):
            line = b"\n" + line  # written by hand, only its line end is missing
        else:
            end -= len(rest)
            file.truncate(end)  # what a sudden end of another process left
        try:
            if file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        except OSError:
            file.truncate(end)
            raise
