"""The report's arithmetic, against scipy's own intervals."""

import json

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra `examples`")
pytest.importorskip("tqdm", reason="needs the extra `examples`")

from scipy import stats

from examples import report


def write(path, accuracies, diverged=()):
    """A results file with one run for each optimizer and seed."""
    with path.open("w") as file:
        for name, values in accuracies.items():
            for seed, value in enumerate(values):
                config = {"study": "toy", "optimizer": name, "learning_rate": 0.1}
                config |= {"tuned": False, "seed": seed, "fraction": 0.5}
                metrics = {"val_accuracy": [value / 2, value]}
                bad = (name, seed) in diverged
                record = {"config": config, "metrics": metrics, "diverged": bad}
                file.write(json.dumps(record) + "\n")


def test_intervals_and_pairs(tmp_path, capsys):
    ours, theirs = [0.91, 0.95, 0.90, 0.93], [0.90, 0.96, 0.90, 0.89]
    path = tmp_path / "toy.jsonl"
    write(path, {"adam": ours, "gradient-only": theirs}, {("adam", 2)})
    report.main([str(path), "--figures", str(tmp_path)])
    printed = capsys.readouterr().out

    def expected(values):
        low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        return f"{np.mean(values):.2f} ± {(high - low) / 2:.2f}"

    ours, theirs = 100 * np.array(ours), 100 * np.array(theirs)
    row = (
        f"| adam | 0.1 | 4 | {expected(ours)} | {expected(ours - theirs)} | 2/1/1 | 1 |"
    )
    assert row in printed
    assert f"| gradient-only | 0.1 | 4 | {expected(theirs)} |  |  |  |" in printed
    assert expected(ours) not in expected(ours + 0.01)  # a wrong mean would show
    assert (tmp_path / "toy-gap-1.png").exists()


def test_one_seed_has_no_interval(tmp_path, capsys):
    path = tmp_path / "toy.jsonl"
    write(path, {"adam": [0.5]})
    report.main([str(path)])
    assert "| adam | 0.1 | 1 | 50.00 |  |  |  |" in capsys.readouterr().out


def test_a_missing_file_gets_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit):
        report.main([str(tmp_path / "none.jsonl")])
    assert capsys.readouterr().err.count("\n") == 1
