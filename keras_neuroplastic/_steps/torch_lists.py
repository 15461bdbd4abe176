"""Operations on lists of tensors, each of which a GPU is given as one."""

import torch


def memory_like(tensors, make=torch.empty):
    """One piece of memory, and parts of it in the shapes of the tensors."""
    size = sum(x.numel() for x in tensors)
    flat = make(size, dtype=tensors[0].dtype, device=tensors[0].device)
    return flat, torch._utils._unflatten_dense_tensors(flat, tensors)


def copied(tensors):
    flat, copies = memory_like(tensors)
    torch._foreach_copy_(copies, tensors)
    return flat, copies


def scaled(numbers, tensors, factor=1.0):
    """Each tensor times its number, times `factor`.

    PyTorch has one kernel for products with a list of numbers where something is
    added to them; a product alone would be one kernel a variable.
    """
    flat, products = memory_like(tensors, torch.zeros)
    torch._foreach_addcmul_(products, numbers.unbind(), tensors, value=factor)
    return flat, products


def dense(tensors, dtype):
    """The tensors, or where they have another dtype or memory order, copies."""
    others = [x for x in tensors if x.dtype != dtype or not x.is_contiguous()]
    if not others:
        return list(tensors)
    copies = [torch.empty(x.shape, dtype=dtype, device=x.device) for x in others]
    torch._foreach_copy_(copies, others)
    copies = dict(zip(map(id, others), copies, strict=True))
    return [copies.get(id(x), x) for x in tensors]


def put_back(tensors, moved):
    """Writes to the tensors what became of their copies."""
    pairs = [(x, y) for x, y in zip(tensors, moved, strict=True) if x is not y]
    if pairs:
        torch._foreach_copy_(*zip(*pairs, strict=True))


def lengths(tensors):
    """The norm of each, whatever the size of its elements in float32."""
    return torch.stack(torch._foreach_norm(tensors, 2, dtype=torch.float64))
