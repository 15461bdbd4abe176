"""What a measurement ran on, and how much memory it took."""

import datetime
import json
import os
import platform
import sys
from pathlib import Path

PACKAGES = ("keras", "jax", "tensorflow", "torch", "optax", "numpy")


def described():
    """Date, processor, cores and versions."""
    return {
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "versions": {
            name: sys.modules[name].__version__
            for name in PACKAGES
            if name in sys.modules
        },
    }


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.machine()


def peak_extra_bytes(run):
    """How far resident memory rises above its start while `run` runs (Linux only)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    except OSError:
        return None
    before = memory("VmRSS")
    run()
    return max(memory("VmHWM") - before, 0)


def memory(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return 1024 * int(line.split()[1])
    raise ValueError(f"/proc/self/status has no field {field!r}.")


def append(path, record):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        file.write(json.dumps(record) + "\n")
