"""What a step launches on a GPU, counted on a machine that may have none.

    KERAS_BACKEND=torch python -m benchmarks.gpu_count_torch --sets resnet18

The step of PyTorch's eager mode runs on fake CUDA tensors, which have shapes and no
numbers, and every operation is counted: the kernels that it launches, the numbers that
it copies from the host or back, each of which waits for all that was launched before,
and the memory that it reads and writes, in passes over the parameters. Operations on
lists launch as often as the tables in PyTorch's MultiTensorApply.cuh say. Of watched
steps, of which several are collected at once, it is the mean. These are counts, not
times.
"""

import argparse
import contextlib
import math
from collections import Counter

import keras
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.optim.adam import adam
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.contestants import KERAS
from benchmarks.parameter_sets import PARAMETER_SETS
from benchmarks.report import print_table
from keras_neuroplastic import NeuroPlastic
from keras_neuroplastic._steps.torch_cuda_statistics import STEPS

CUDA = (13, 12)
# Tensors and chunks that one launch takes of one list, of two, and so on; the same of
# lists that come with a list of numbers differs for one list alone.
TENSORS = {13: (770, 448, 336, 252, 210), 12: (110, 64, 48, 36, 30)}
WITH_NUMBERS = {13: 672, 12: 96}
CHUNKS = {13: 2240, 12: 320}
CHUNK = 65536
CONCATENATED = 128  # tensors that one launch puts together
ALLOCATIONS = "empty", "empty_like", "empty_strided", "new_empty", "lift_fresh"
READS = "_local_scalar_dense", "item", "is_nonzero", "equal"
UNREAD = "copy_", "_foreach_copy_", "fill_", "zero_"  # what they write


class PlainRules(NeuroPlastic):
    """With a step of its own, which happens to be that of the rules."""

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, learning_rate)


COUNTED = (
    "NeuroPlastic watched",
    "gradient-only",
    "plastic Adam",
    "plastic Adam watched",
    "Adam",
)
OF_KERAS = {
    "NeuroPlastic": NeuroPlastic,
    "NeuroPlastic, plain rules": PlainRules,
    **{name: KERAS[name] for name in COUNTED},
}
OF_TORCH = {"torch Adam foreach": "foreach", "torch Adam fused": "fused"}
OPTIMIZERS = *OF_KERAS, *OF_TORCH


class Count(TorchDispatchMode):
    """Counts what is done to CUDA tensors while it is entered."""

    def __init__(self):
        super().__init__()
        self.launches = dict.fromkeys(CUDA, 0)
        self.copies = self.reads = self.bytes = 0
        self.operations = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name.removeprefix("aten::")
        inputs = tensors_of(args, kwargs)
        devices = {x.device.type for x in inputs}
        if name in READS:
            self.reads += "cuda" in devices
            return 1.0  # for a fake tensor has no number to read
        result = function(*args, **(kwargs or {}))
        outputs = tensors_of(result)
        devices |= {x.device.type for x in outputs}
        nothing = function.is_view or function.namespace == "prim"
        if nothing or "cuda" not in devices or name in ALLOCATIONS:
            return result
        if "copy" in name and "cpu" in devices:
            self.copies += 1
            self.operations["copy from the host"] += 1
            return result
        self.bytes += moved(name, args, inputs, outputs)
        self.operations[name] += 1
        for cuda in CUDA:
            self.launches[cuda] += launches(name, args, kwargs, cuda)
        return result


def tensors_of(*nested):
    return [x for x in tree_leaves(nested) if isinstance(x, torch.Tensor)]


def moved(name, args, inputs, outputs):
    """The bytes that an operation reads and writes."""
    written = list(outputs)
    if name.startswith(("_foreach", "_fused")) and name.endswith("_"):
        written = list(args[0])
    if name.startswith("_fused_adam"):
        params, grads, *traces = args[:4]
        inputs = [*params, *grads, *traces[0], *traces[1]]
        written = [*params, *traces[0], *traces[1]]
    if name in UNREAD:
        targets = set(map(id, written))
        inputs = [x for x in inputs if id(x) not in targets]
    return sum(x.numel() * x.element_size() for x in [*once(inputs), *once(written)])


def once(tensors):
    """Without those that are another's memory."""
    return {
        (x.untyped_storage()._cdata, x.storage_offset()): x for x in tensors
    }.values()


def launches(name, args, kwargs, cuda):
    if name in ("cat", "stack"):
        return math.ceil(len(args[0]) / CONCATENATED)
    if not name.startswith(("_foreach", "_fused")):
        return 1
    given = [*args, *(kwargs or {}).values()]
    lists = [x for x in given if isinstance(x, (list, tuple)) and x]
    with_numbers = any(isinstance(x[0], (int, float)) for x in lists)
    lists = [x for x in lists if isinstance(x[0], torch.Tensor)]
    sizes = [x.numel() for x in lists[0]]
    if name.startswith("_fused"):
        return of_lists(sizes, 4 if "adam" in name else len(lists), cuda)
    if name == "_foreach_norm":  # and two arrays of zeros, and the sums of the sums
        ends = math.ceil(len(sizes) / TENSORS[cuda][0])
        return 2 + of_lists(sizes, 1, cuda) + ends
    if not one_kernel(name, lists):
        return len(sizes)
    depth = len(lists) + (not name.endswith("_"))
    return of_lists(sizes, depth, cuda, with_numbers)


def one_kernel(name, lists):
    """Whether PyTorch has one for these lists, or takes one tensor after another."""
    if name.startswith(("_foreach_addcmul", "_foreach_addcdiv")) and all(
        x.ndim == 0 for x in lists[1]
    ):
        if {x.dtype for x in lists[1]} != {lists[0][0].dtype}:
            return False
        lists = [lists[0], *lists[2:]]
    same_layout = all(
        len({(x.shape, x.stride()) for x in members}) == 1
        and all(x.is_contiguous() for x in members)
        for members in zip(*lists, strict=True)
    )
    dtypes = {x.dtype for members in lists for x in members}
    return same_layout and (len(dtypes) == 1 or name == "_foreach_copy_")


def of_lists(sizes, depth, cuda, with_numbers=False):
    """Launches for `depth` lists of tensors of such sizes."""
    most = TENSORS[cuda][depth - 1]
    if with_numbers and depth == 1:
        most = WITH_NUMBERS[cuda]
    count = tensors = chunks = 0
    for size in filter(None, sizes):
        tensors += 1
        of_tensor = math.ceil(size / CHUNK)
        for chunk in range(1, of_tensor + 1):
            chunks += 1
            last = chunk == of_tensor
            if (tensors == most and last) or chunks == CHUNKS[cuda]:
                # A tensor that is not done opens the next launch.
                count, chunks, tensors = count + 1, 0, int(not last)
    return count + bool(chunks)


@contextlib.contextmanager
def fake_gpu():
    """Makes tensors fake and those of Keras CUDA's, in any build of PyTorch."""
    index, copy = torch.Tensor.__getitem__, torch.Tensor.copy_

    def select(self, indices):  # the real one asks the driver for the device
        if self.device.type != "cuda":
            return index(self, indices)
        indices = indices if isinstance(indices, tuple) else (indices,)
        axis = 0
        for at, i in enumerate(indices):
            if i is Ellipsis:
                axis = self.ndim - sum(x is not None for x in indices[at + 1 :])
            elif i is None:
                self, axis = self.unsqueeze(axis), axis + 1
            elif isinstance(i, slice):
                start, stop, step = i.indices(self.shape[axis])
                self = torch.ops.aten.slice.Tensor(self, axis, start, stop, step)
                axis += 1
            else:
                self = torch.select(self, axis, i)
        return self

    def plain_copy(self, source, non_blocking=False):  # and so does this
        if self.device.type != "cuda":
            return copy(self, source, non_blocking)
        return torch.ops.aten.copy_.default(self, source, non_blocking)

    torch.Tensor.__getitem__, torch.Tensor.copy_ = select, plain_copy
    try:
        with FakeTensorMode(allow_non_fake_inputs=True), keras.device("cuda:0"):
            yield
    finally:
        torch.Tensor.__getitem__, torch.Tensor.copy_ = index, copy


def zeros(shapes, dtype="float32"):
    dtype = getattr(torch, dtype)
    return [torch.zeros(shape, dtype=dtype, device="cuda") for shape in shapes]


def keras_step(make, shapes, dtype):
    variables = [keras.Variable(x, dtype=dtype) for x in zeros(shapes, dtype)]
    gradients, optimizer = zeros(shapes, dtype), make()
    optimizer.apply(gradients, variables)  # builds
    return lambda: optimizer.apply(gradients, variables)


def torch_step(kind, shapes):
    """The function within `torch.optim.Adam.step`, for the class looks for a GPU."""
    device = "cuda" if kind == "fused" else "cpu"  # as the class has it
    steps = [torch.ones((), device=device) for _ in shapes]
    theta, g, m, v = (zeros(shapes) for _ in range(4))
    options = {"beta1": 0.9, "beta2": 0.999, "lr": 1e-3, "weight_decay": 0.0}
    options |= {"eps": 1e-8, "amsgrad": False, "maximize": False, kind: True}
    return lambda: adam(theta, g, m, v, [], steps, **options)


def count(name, shapes, dtype="float32", steps=1):
    """The `Count` of one step, or of several."""
    with fake_gpu(), torch.no_grad():
        if name in OF_KERAS:
            step = keras_step(OF_KERAS[name], shapes, dtype)
        else:
            step = torch_step(OF_TORCH[name], shapes)
        with Count() as counted:
            for _ in range(steps):
                step()
    return counted


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    sets = list(PARAMETER_SETS)
    parser.add_argument("--sets", nargs="+", choices=sets, default=sets)
    parser.add_argument(
        "--optimizers",
        nargs="+",
        choices=OPTIMIZERS,
        default=OPTIMIZERS,
        metavar="NAME",
    )
    parser.add_argument("--operations", action="store_true", help="lists them as well")
    options = parser.parse_args()
    for set_name in options.sets:
        shapes, rows = PARAMETER_SETS[set_name], []
        parameters = sum(map(math.prod, shapes))
        for name in options.optimizers:
            steps = STEPS if name.endswith(" watched") else 1
            counted = count(name, shapes, steps=steps)
            numbers = *counted.launches.values(), counted.copies, counted.reads
            means = (f"{round(n / steps, 1):,g}" for n in numbers)
            passes = counted.bytes / 4 / parameters / steps
            rows.append([name, *means, f"{passes:.1f}"])
            if options.operations:
                print(name, dict(counted.operations.most_common()))
        launches_of = [f"launches, CUDA {cuda}" for cuda in CUDA]
        ends = "copies from the host", "numbers read back", "passes"
        print_table([f"{set_name}, counted", *launches_of, *ends], rows)
    print(f"PyTorch {torch.__version__}, Keras {keras.__version__}")


if __name__ == "__main__":
    main()
