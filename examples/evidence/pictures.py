"""Figures that look alike: one style, colours that the colour-blind tell apart."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

# Okabe and Ito's colours.
BLUE, ORANGE, GREEN, PINK, SKY, RED = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"),
)
GREY = "#777777"
STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
}


def legend(figure, panels, order, columns):
    """One above all panels, of those that any of them has among the labels in order."""
    handles = {
        label: handle
        for axes in panels.flat
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    drawn = [label for label in order if label in handles]
    figure.legend(
        [handles[label] for label in drawn],
        drawn,
        loc="outside upper center",
        ncols=columns,
    )


def save(figure, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the version of matplotlib in the file.
    figure.savefig(path, dpi=150, metadata={"Software": None})
    plt.close(figure)
