"""What a PyTorch step does on the GPU at hand: its time, kernels, waits and memory.

    KERAS_BACKEND=torch python -m benchmarks.gpu_profile --sets mlp resnet18

The bandwidth that a large copy reaches says how fast memory is here; the bytes that the
step's kernels must move, by the count of `benchmarks.gpu_count_torch`, over their time,
say how much of it the step reaches. A wait is a call for which PyTorch stops the
processor until the GPU is done (`torch.cuda.set_sync_debug_mode`).
"""

import argparse
import math
import statistics
import warnings
from collections import Counter

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks import contestants
from benchmarks.gpu_count_torch import Count
from benchmarks.machine import described
from benchmarks.parameter_sets import PARAMETER_SETS

STEPS = 20
COPIED = 2**30  # bytes


def milliseconds(run, rounds=STEPS):
    """Median time between two events on the GPU around a run."""
    times = []
    for _ in range(rounds + 3):  # three to warm up
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times[3:])


def copy_bandwidth():
    """Bytes read and written a second by a copy within the GPU's memory."""
    source = torch.empty(COPIED, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return 2 * COPIED / (1e-3 * milliseconds(lambda: target.copy_(source)))


def waits(step):
    """Where a step waits for the GPU, and how often."""
    torch.cuda.set_sync_debug_mode("warn")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        step()
    torch.cuda.set_sync_debug_mode("default")
    return Counter(
        f"{warning.filename.split('site-packages/')[-1]}:{warning.lineno}"
        for warning in caught
        if "synchroniz" in str(warning.message)
    )


def extra_memory(step):
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def kernels(step):
    """(name, launches a step, ms a step) of the kernels, the longest first."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        for _ in range(STEPS):
            step()
        torch.cuda.synchronize()
    found = [
        (event.key, event.count / STEPS, event.self_device_time_total / 1e3 / STEPS)
        for event in profiled.key_averages()
        if event.device_type == torch.autograd.DeviceType.CUDA
    ]
    return sorted(found, key=lambda kernel: -kernel[2])


def report(name, set_name, peak):
    shapes = PARAMETER_SETS[set_name]
    size = 4 * sum(map(math.prod, shapes))
    grads = contestants.gradients(shapes)
    step, _ = contestants.contestant(name, shapes, grads)
    ms = milliseconds(step)
    found = kernels(step)
    busy = sum(time for *_, time in found)
    launches = sum(count for _, count, _ in found)
    print(f"\n{set_name}, {name}: {ms:.3f} ms, kernels {busy:.3f} ms in {launches:g}")
    with torch.no_grad(), Count() as counted:
        step()
    rate = counted.bytes / (1e-3 * busy)
    print(f"{counted.bytes / size:.1f} passes at {1e-12 * rate:.2f} TB/s", end=", ")
    print(f"{rate / peak:.0%} of a copy's", end="; ")
    print(f"{extra_memory(step) / size:.2f} copies of the parameters more", end="; ")
    print(f"waits: {dict(waits(step)) or 'none'}")
    for kernel, count, time in found[:8]:
        print(f"  {time:8.4f} ms {count:6g} × {kernel[:90]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sets", nargs="+", choices=PARAMETER_SETS, default=["mlp"])
    parser.add_argument(
        "--optimizers",
        nargs="+",
        choices=contestants.names(),
        default=["NeuroPlastic", "Adam"],
        metavar="NAME",
    )
    options = parser.parse_args()
    print(described())
    peak = copy_bandwidth()
    print(f"copy of 1 GiB: {1e-12 * peak:.2f} TB/s")
    for set_name in options.sets:
        for name in options.optimizers:
            report(name, set_name, peak)


if __name__ == "__main__":
    main()
