"""Results files: whole lines whoever writes, and what is said of a broken one."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("filelock", reason="needs the extra `examples`")
pytest.importorskip("tqdm", reason="needs the extra `examples`")

from test_study import run_study

from examples.harness import results

ROOT = Path(__file__).parent.parent
CONFIG = {"study": "toy", "optimizer": "sgd", "learning_rate": 0.1, "tuned": False}
CONFIG |= {"seed": 1}
RECORD = {"config": CONFIG, "metrics": {"val_accuracy": [0.5]}}


def without(part, name):
    return {**RECORD, part: {k: v for k, v in RECORD[part].items() if k != name}}


BROKEN = [
    *(without("config", name) for name in CONFIG),
    without("metrics", "val_accuracy"),
    {**RECORD, "metrics": {"val_accuracy": []}},
    {**RECORD, "metric": "val_loss"},
    {**RECORD, "config": list(CONFIG)},
    {**RECORD, "metrics": "val_accuracy"},
]


def test_what_counts_may_be_the_loss_alone(tmp_path):
    record = {**RECORD, "metric": "val_loss", "metrics": {"val_loss": [0.5]}}
    results.append(tmp_path / "r.jsonl", record)
    assert results.read(tmp_path / "r.jsonl") == [record]


def test_a_half_written_line_is_no_result(tmp_path):
    path = tmp_path / "r.jsonl"
    results.append(path, RECORD)
    whole = path.read_bytes()
    for end in range(1, len(whole) - 1):
        path.write_bytes(whole + whole[:end])
        assert results.read(path) == [RECORD]
    results.append(path, RECORD)
    assert path.read_bytes() == 2 * whole
    path.write_bytes(whole[:-1])  # its line end alone is missing
    results.append(path, RECORD)
    assert path.read_bytes() == 2 * whole


@pytest.mark.parametrize(
    "line", ["{", "", "7", "null", '{"config": {}}', *map(json.dumps, BROKEN)]
)
def test_a_corrupt_file_is_named_with_its_line(line, tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text(f"{json.dumps(RECORD)}\n{line}\n{json.dumps(RECORD)}\n")
    with pytest.raises(SystemExit, match=r"r\.jsonl: line 2 is not a result"):
        results.read(path)


WRITER = """
import pathlib, sys
if len(sys.argv) > 4:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]),) * 2)
sys.path.insert(0, "examples/harness")
import results  # by itself: its package would load Keras
path, name, count = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
config = dict.fromkeys(["study", "learning_rate", "tuned"])
metrics = {"val_accuracy": [0] * 500}
for i in range(count):
    config |= {"optimizer": name, "seed": i}
    results.append(path, {"config": config, "metrics": metrics})
"""


def start_writer(path, *arguments, **options):
    command = [sys.executable, "-c", WRITER, str(path), *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, **options)


def test_two_processes_lose_nothing(tmp_path):
    path, count = tmp_path / "r.jsonl", 60
    writers = [start_writer(path, name, count) for name in "ab"]
    assert [writer.wait(120) for writer in writers] == [0, 0]
    for name in "ab":
        configs = [record["config"] for record in results.read(path)]
        mine = [config["seed"] for config in configs if config["optimizer"] == name]
        assert mine == list(range(count))


def test_a_full_disk_leaves_whole_lines(tmp_path):
    pytest.importorskip("resource", reason="needs limits on file sizes")
    path = tmp_path / "r.jsonl"
    writer = start_writer(path, "a", 9, 5000, stderr=subprocess.PIPE, text=True)
    _, error = writer.communicate(timeout=120)
    assert writer.returncode == 1
    assert "No space left" in error
    assert [r["config"]["seed"] for r in results.read(path)] == [0, 1, 2]
    assert path.read_bytes().endswith(b"\n")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError("Can't write data (error message = 'No space left on device')"),
        RuntimeError("Can't decrement (error message = 'No space left on device')"),
    ],
)
def test_a_full_disk_gets_a_message(error, tmp_path):
    def train(run):
        raise error

    with pytest.raises(SystemExit, match=r"is full.*free some space"):
        run_study(tmp_path / "toy.jsonl", train=train)


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "no"), RuntimeError("no")])
def test_other_errors_remain_what_they_are(error, tmp_path):
    def train(run):
        raise error

    with pytest.raises(type(error), match="no"):
        run_study(tmp_path / "toy.jsonl", train=train)
