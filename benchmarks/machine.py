"""What a measurement ran on, and how much memory it took."""

import datetime
import json
import os
import platform
import sys
from pathlib import Path

PACKAGES = ("keras", "jax", "tensorflow", "torch", "optax", "numpy")


def described():
    """Date, processor, GPU if there is one, cores and versions."""
    return {
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "gpu": gpu(),
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


def gpu():
    """The name of the GPU that the backend steps on, or None."""
    if (torch := sys.modules.get("torch")) and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    if jax := sys.modules.get("jax"):
        devices = [d for d in jax.devices() if d.platform != "cpu"]
        return devices[0].device_kind if devices else None
    if tensorflow := sys.modules.get("tensorflow"):
        devices = tensorflow.config.list_physical_devices("GPU")
        return devices[0].name if devices else None
    return None


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
