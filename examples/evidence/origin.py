"""Where the numbers of a block come from: commands, duration, machine and versions."""

from datetime import timedelta

from examples.evidence.commands import commands
from examples.harness.compare import diverged

NAMES = {
    "python": "Python",
    "keras": "Keras",
    "keras_neuroplastic": "keras-neuroplastic",
    "jax": "JAX",
    "tensorflow": "TensorFlow",
    "torch": "PyTorch",
}


def versions(records):
    found = {}
    for record in records:
        for package, version in record["versions"].items():
            found.setdefault(package, set()).add(version)
    return ", ".join(
        f"{NAMES[package]} {' and '.join(sorted(found[package]))}"
        for package in NAMES
        if package in found
    )


def dates(records):
    days = sorted({record["date"][:10] for record in records})
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def duration(records):
    """Of the training, to the minute where it is longer than one."""
    seconds = sum(record["seconds"] for record in records)
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(timedelta(seconds=seconds).total_seconds() / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def origin(records):
    """The commands in a code block, and a sentence on what they took and where."""
    tried = sum(r["config"]["evaluate_on"] == "validation" for r in records)
    count = f"{len(records) - tried} runs"
    count += f" and {tried} trials of learning rates" if tried else ""
    lost = diverged(records)
    return (
        "```sh\n" + "\n".join(commands(records)) + "\n```\n\n"
        f"{count}{f', {lost} of all diverged' if lost else ''}: {duration(records)} of "
        f"training, on {' and '.join(sorted({r['machine'] for r in records}))}, "
        f"{dates(records)}; {versions(records)}."
    )
