"""The statistics of a step in place, for one PyTorch variable on the CPU."""

import torch

from keras_neuroplastic import rules, statistics


def collect(step, slots, g, traces, means, before, weight):
    """Adds a step that has just been made to `totals`, and keeps its sample of α."""
    p, dtype = step.rule, g.dtype
    g_seen = statistics.sample(g)
    values = [g_seen.abs()]
    if "activity" in traces:
        values.append(statistics.sample(traces["activity"]))
    if "momentum" in traces:
        m, v = (statistics.sample(traces[n]) for n in ("momentum", "variance"))
        values.append(m.abs() / (v.sqrt() + p.epsilon))
    gains = [1 / (mean + p.epsilon) for mean in means.values()]
    found = rules.Signals(values, torch.tensor([*means.values()], dtype=dtype), gains)
    alphas = rules.sampled_plasticity(found, p, step.numbers["scale"])
    plastic, raw, stable, unit = step.made(*alphas, g_seen, before)
    of_g = torch.linalg.vector_norm(g, dtype=torch.float64).item()
    new = statistics.collect(
        slots,
        p,
        statistics.Seen(alphas[0], plastic, raw),
        stable,
        unit,
        gradient_norm=of_g,
        rate=step.learning_rate / weight if weight else 0.0,
    )
    for name, slot in slots.items():
        slot.copy_(new[name])
