"""The modulated step in place, for one PyTorch variable on the CPU.

The sweeps are those of `torch_cpu.py`, but for what the second one makes: the part
(α - 1) η b, which the third takes from the variable. Where nothing limits it, and so
no norm is waited for, the second does both.
"""

import math

import torch

from keras_neuroplastic import rules
from keras_neuroplastic._steps.torch_cpu import Step, clip
from keras_neuroplastic._steps.torch_kernels import norm
from keras_neuroplastic.modulation import TINY


class ModulatedStep(Step):
    """A step of variables that an optimizer has moved from `before`."""

    def skips(self, gradient):
        return False

    def move(self, blocks, means, size):
        _, base = self.scales(means)
        strength = self.numbers["strength"] * base
        self.factor = strength
        if self.rule.target == "gain" and self.numbers["max_ratio"] is None:
            checked = "memory" in means  # whose kernel reads what is left
            squares = 0.0
            for block in blocks:
                part = self.form_part(block, means, base)
                block.theta.sub_(part, alpha=strength)
                squares += part.view(-1).dot(part.view(-1)).item() if checked else 0.0
            return squares
        old = self.length(block.before for block in blocks)
        parts = [self.form_part(block, means, base) for block in blocks]
        moved, part = self.length(block.before for block in blocks), self.length(parts)
        self.factor = strength * self.shorten(old, moved, strength * part)
        for block in blocks:
            block.theta.sub_(block.update, alpha=self.factor)
        return part

    def form_part(self, block, means, base):
        """(α - 1) η b / base, in `update`; η b, in `before`; moves the activity."""
        self.keep_square("weights", block.before)
        magnitude = torch.abs(block.g, out=block.work)
        moved = block.before.sub_(block.theta)
        if self.rule.per_parameter:
            part = self.plasticity(block, magnitude, means, base).sub_(1 / base)
            return part.mul_(moved)
        self.move_activity(block, magnitude)
        alpha = self.mean_plasticity(means)
        return torch.mul(moved, (alpha - 1) / base, out=block.update)

    def made(self, before, g):
        d = self.take("update", before, before.dtype).mul_(self.factor)
        raw = before.add_(d)  # η (b + d)
        unit = 1 / self.learning_rate if self.learning_rate else 1.0
        stable = rules.Stabilized(None, norm(raw), unit, False, 1.0)
        return stable, unit, {"plastic": d, "update": raw}

    def shorten(self, old, moved, part):
        """What is left of a part of such a length: its trust, and the limit."""
        factor, tiny = 1.0, TINY * self.learning_rate
        if self.rule.target == "trust":
            trust = old * self.learning_rate / (moved + tiny) if moved else math.inf
            factor = clip(trust, 0.5, 1.5) - 1
        max_ratio = self.numbers["max_ratio"]
        length = abs(factor) * part
        if max_ratio is not None and length > max_ratio * moved:
            factor *= max_ratio * moved / (length + tiny)
        return factor

    def length(self, arrays):
        """The norm of all together."""
        return math.hypot(*map(norm, arrays))
