"""Data parallelism on PyTorch: a process for every device, gradients averaged.

    KERAS_BACKEND=torch python -m examples.distributed.torch_ddp

Keras leaves the loop to you here. `DistributedDataParallel` averages the gradients of
all processes during `backward`; each process then makes the same step.
"""

import tempfile
from pathlib import Path

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from examples.distributed import digits
from keras_neuroplastic import NeuroPlastic

PROCESSES = 2


def train(rank, processes, meeting_point, save):
    if processes > 1:
        distributed.init_process_group(
            "gloo",  # "nccl" on GPUs
            init_method=f"file://{meeting_point}",
            rank=rank,
            world_size=processes,
        )
    model = digits.classifier()
    parallel = DistributedDataParallel(model) if processes > 1 else model
    loss = digits.loss()
    optimizer = NeuroPlastic(weight_decay=1e-3)
    optimizer.build(model.trainable_variables)
    x, y = (torch.from_numpy(a) for a in digits.data())
    for _ in range(digits.EPOCHS):
        for start in range(0, len(x), digits.BATCH_SIZE):
            mine = slice(start + rank, start + digits.BATCH_SIZE, processes)
            model.zero_grad()
            loss(y[mine], parallel(x[mine])).backward()
            gradients = [v.value.grad for v in model.trainable_variables]
            with torch.no_grad():
                optimizer.apply(gradients)
    if processes > 1:
        distributed.destroy_process_group()
    print(f"process {rank} of {processes}")
    path = save and Path(save).with_suffix(f".{rank}.npz")
    digits.report(model, optimizer, path, devices=processes)


def main():
    arguments = digits.arguments(__doc__)
    if arguments.single:
        return train(0, 1, None, arguments.save)
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(
            train,
            (PROCESSES, Path(folder) / "meeting_point", arguments.save),
            nprocs=PROCESSES,
        )


if __name__ == "__main__":
    main()
