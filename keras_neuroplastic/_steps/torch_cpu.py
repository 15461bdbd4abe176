"""The rules once more, in place, for one PyTorch variable on the CPU.

Each operation of `rules.py` streams a whole variable through memory. Here the variable
is cut into blocks that stay in the cache, which three sweeps pass: memory traces and
sums; activity trace, update and its norm; move. The few numbers of a variable are
Python floats. Scratch memory is a copy of the largest variable and one block, which the
optimizer keeps from step to step, and a copy of gradients in 16 bits or in another
memory order.
"""

import math

import torch
from keras import ops

from keras_neuroplastic import rules
from keras_neuroplastic._dtypes import step_dtype
from keras_neuroplastic._steps import torch_kernels
from keras_neuroplastic._steps.torch_scratch import Block, take
from keras_neuroplastic._steps.torch_statistics import Watch, length, ratio

# Elements in a block: what a sweep touches of it stays in the cache, and its
# operations are worth their call.
BLOCK = 2**18
# While the mean of |g| is in here, squares can be summed as they are: none overflows,
# in however large a variable, and none that matters vanishes.
SAFE_MEAN = (1e-8, 1e6)


class Step:
    """A step of the variables of one optimizer, one after another."""

    def __init__(self, optimizer, learning_rate):
        self.rule = optimizer._plasticity
        self.learning_rate = float(ops.convert_to_tensor(learning_rate))
        self.numbers = {
            name: value if value is None else float(value)
            for name, value in optimizer._scheduled().items()
        }
        # Kept, for fresh memory costs more than some of the operations on it.
        self.scratch = optimizer.__dict__.setdefault("_scratch", {})
        self.watch = None
        if optimizer.collects_statistics:
            self.watch = Watch(optimizer, BLOCK)

    def variable(self, row, gradient, theta, traces, before=None, **constants):
        """Moves `theta` and `traces`, which are the `row`-th."""
        if self.skips(gradient):
            return
        # Of the gradient and the old variable, for the statistics.
        self.squares = dict.fromkeys(("gradient", "weights"), 0.0)
        if gradient.shape != theta.shape:
            gradient = gradient.expand(theta.shape)
        dtype = getattr(torch, step_dtype(theta.dtype))
        # The fused kernels read the memory in its order, whatever the strides say.
        g = gradient.to(dtype).contiguous()
        size = max(theta.numel(), 1)
        blocks = self.blocks(g, theta, before, traces)
        if self.watch:
            self.watch.begin(row)
        sums = [self.sum_signals(block) for block in blocks]
        means = {
            name: min(sum(s[name] for s in sums) / size, torch_kernels.LARGEST[dtype])
            for name in sums[0]
        }
        squares = self.move(blocks, means, size, **constants)
        if self.watch and theta.numel():
            self.see(means["gradient"], before, g)
        if not math.isfinite(squares):  # so is `update`, where the next variable begins
            self.scratch.clear()

    def skips(self, gradient):
        return self.rule.skip_nonfinite and not torch.isfinite(gradient).all()

    def move(self, blocks, means, size, weight_decay):
        """The second and third sweep; the sum of the squares of what is left."""
        unit, base = self.scales(means)
        squares = sum(self.form_update(block, means, unit, base) for block in blocks)
        stable = self.stabilize(squares**0.5, unit * base, size)
        for block in blocks:
            self.apply_update(block, stable.factor, weight_decay)
        self.stable, self.unit = stable, unit * base
        return squares

    def scales(self, means):
        """What h = g / unit and α / base are in units of.

        A gradient of extreme size is divided by its mean, so that squares of u neither
        overflow nor vanish. With others, α is in units of the weight of the memory
        signal, if that is no extreme number, which saves a product.
        """
        if not SAFE_MEAN[0] < means["gradient"] < SAFE_MEAN[1]:
            return means["gradient"] + self.rule.epsilon, 1.0
        if "memory" in means and self.rule.per_parameter:
            weight = self.rule.memory_weight / (means["memory"] + self.rule.epsilon)
            if 1e-3 < weight < 1e9:
                return 1.0, weight
        return 1.0, 1.0

    def blocks(self, g, theta, before, traces):
        update = self.take("update", theta, g.dtype)
        if theta.numel() <= BLOCK:
            work = self.take("work", theta, g.dtype)
            return [Block(g, theta, before, traces, update, work)]
        work = self.take("work", theta.view(-1)[:BLOCK], g.dtype)
        names = [*traces, *(["before"] if before is not None else [])]
        parts = g, theta, update, *traces.values()
        parts += () if before is None else (before,)
        blocks = []
        for g_, theta_, u, *others in zip(
            *(part.reshape(-1).split(BLOCK) for part in parts), strict=True
        ):
            slots = dict(zip(names, others, strict=True))
            before_ = slots.pop("before", None)
            blocks.append(Block(g_, theta_, before_, slots, u, work[: len(u)]))
        return blocks

    def take(self, name, like, dtype):
        return take(self.scratch, name, like, dtype)

    def sum_signals(self, block):
        """The first sweep: moves the memory traces; the sum of each signal.

        Leaves |m| / (√v + ε) in `update`.
        """
        magnitude = torch.abs(block.g, out=block.work)
        self.keep_square("gradient", magnitude)
        sums = {"gradient": magnitude.sum().item()}
        if "activity" in block.traces:
            # What it will be: the trace itself moves where it is read next.
            old, new = block.traces["activity"].sum().item(), sums["gradient"]
            if not math.isfinite(old + new):
                old = block.traces["activity"].sum(dtype=torch.float64).item()
                new = magnitude.sum(dtype=torch.float64).item()
            total = rules.trace(old, new, self.rule.activity_decay)
            overflows = total > torch.finfo(magnitude.dtype).max
            sums["activity"] = math.inf if overflows else total
        if "momentum" in block.traces:
            # While this holds, no square overflows.
            fused = sums["gradient"] < 1e18
            memory = torch_kernels.memory if fused else torch_kernels.unfused_memory
            memory(block, self.rule)
            sums["memory"] = block.update.abs_().sum().item()
        return sums

    def form_update(self, block, means, unit, base):
        """The second sweep: moves the activity trace; the sum of the squares of u.

        Leaves u / (unit base) in `update`, and that is also what it sums.
        """
        h = block.g if unit == 1.0 else block.g / unit
        magnitude = torch.abs(block.g, out=block.work)
        if self.rule.per_parameter:
            u = self.plasticity(block, magnitude, means, base).mul_(h)
        else:
            self.move_activity(block, magnitude)
            u = torch.mul(h, self.mean_plasticity(means), out=block.update)
        return torch_kernels.square(u.view(-1))

    def move_activity(self, block, magnitude):
        if "activity" in block.traces:
            weight = 1 - self.rule.activity_decay
            block.traces["activity"].lerp_(magnitude, weight)

    def plasticity(self, block, magnitude, means, base):
        """α / base, in `update`, from |g|; moves the activity trace."""
        rule, alpha = self.rule, block.update
        limits = rule.min_alpha / base, rule.max_alpha / base
        normal = {name: 1 / (mean + rule.epsilon) for name, mean in means.items()}
        of_gradient = normal["gradient"] / base
        if "memory" not in means:
            torch.mul(magnitude, rule.gradient_weight * of_gradient, out=alpha)
        else:
            of_memory = rule.memory_weight * normal["memory"] / base
            if base == 1.0:  # or else the product is 1
                alpha.mul_(of_memory)
            alpha.add_(magnitude, alpha=rule.gradient_weight * of_gradient)
        if "activity" in means:
            of_activity = rule.activity_weight * normal["activity"] / base
            torch_kernels.activity(block, magnitude, of_activity, rule)
        alpha.clamp_(*limits)
        if self.numbers["scale"] != 1:
            alpha_gradient = magnitude.mul_(of_gradient).clamp_(*limits)
            alpha.sub_(alpha_gradient).mul_(self.numbers["scale"]).add_(alpha_gradient)
        if self.watch:
            self.watch.see_alpha(alpha, base)
        return alpha

    def mean_plasticity(self, means):
        """The one α of the variable, for `per_parameter=False`."""
        rule = self.rule
        signals = {name: mean / (mean + rule.epsilon) for name, mean in means.items()}
        weighted = sum(
            getattr(rule, f"{name}_weight") * x for name, x in signals.items()
        )
        alpha = clip(weighted, rule.min_alpha, rule.max_alpha)
        alpha_gradient = clip(signals["gradient"], rule.min_alpha, rule.max_alpha)
        alpha = alpha_gradient + self.numbers["scale"] * (alpha - alpha_gradient)
        if self.watch:
            self.watch.see_alpha(alpha)
        return alpha

    def stabilize(self, length, unit, size):
        """What `rules.stabilize` says of an update in units of `unit`."""
        rule = self.rule
        norm, factor, clipped, gain = length * unit, 1.0, False, 1.0
        if rule.max_update_norm is not None and norm > rule.max_update_norm:
            factor, clipped = rule.max_update_norm / (norm + rule.epsilon), True
        if rule.adaptation_rate:
            norm *= factor
            rms = (norm * norm / size + rule.epsilon) ** 0.5
            gain = clip(1 + rule.adaptation_rate * (rule.target_rms - rms), 0.5, 1.5)
            factor *= gain
        return rules.Stabilized(None, length, factor * unit, clipped, gain)

    def keep_square(self, name, x):
        if self.watch:
            self.squares[name] += length(x) ** 2

    def see(self, mean, before, g):
        """Keeps what the statistics tell of a step, while the arrays are at hand."""
        gradient, weights = (x**0.5 for x in self.squares.values())
        stable, unit, arrays = self.made(before, g)
        norm = stable.length * stable.factor
        rate = self.learning_rate * ratio(norm, weights)
        numbers = stable.length * unit, norm, stable.clipped, stable.gain, rate
        self.watch.add(mean, (gradient, *numbers), **arrays)

    def made(self, before, g):
        """What became of the update, in which units, and arrays to look at."""
        return self.stable, self.unit, {"gradient": g}

    def apply_update(self, block, factor, weight_decay):
        """The third sweep: θ <- θ - η factor update - η λ θ."""
        theta = block.theta
        self.keep_square("weights", theta)
        if weight_decay:
            u = torch.mul(block.update, factor, out=block.work)
            u.add_(theta, alpha=weight_decay)
            theta.sub_(u, alpha=self.learning_rate)
        else:
            theta.sub_(block.update, alpha=self.learning_rate * factor)


def clip(x, low, high):
    """A NaN stays one."""
    return min(max(x, low), high)
