"""What is uploaded: a wheel and a source archive that are whole and say what is so."""

import email
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import keras
import pytest

import keras_neuroplastic

ROOT = Path(__file__).parent.parent
VERSION = keras_neuroplastic.__version__

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="the same on every backend"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the source archive, and the wheel that was built from it."""
    pytest.importorskip("build", reason="needs the extra `dev`")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built):
    [path] = built.glob("*.whl")
    with zipfile.ZipFile(path) as file:
        yield file


@pytest.fixture(scope="module")
def metadata(wheel):
    [name] = [name for name in wheel.namelist() if name.endswith("/METADATA")]
    return email.message_from_bytes(wheel.read(name))


def test_the_wheel_holds_the_package_alone(wheel):
    want = {p.relative_to(ROOT).as_posix() for p in tracked() if in_package(p)}
    information = f"keras_neuroplastic-{VERSION}.dist-info/"
    got = {name for name in wheel.namelist() if not name.startswith(information)}
    assert got == want
    assert "keras_neuroplastic/py.typed" in got
    assert f"{information}licenses/LICENSE" in wheel.namelist()


def test_the_source_archive_holds_all_of_the_repository(built):
    [path] = built.glob("*.tar.gz")
    with tarfile.open(path) as file:
        names = file.getnames()
    got = {name.partition("/")[2] for name in names}
    want = {p.relative_to(ROOT).as_posix() for p in tracked()}
    hidden = {name for name in want if name.startswith((".ci/", ".github/"))}
    assert want - got == hidden
    assert got - want == {"PKG-INFO"}


def tracked():
    """The files of the repository, and new ones that are not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if run.returncode:
        pytest.skip("not in a repository")
    return [ROOT / name for name in run.stdout.splitlines() if (ROOT / name).exists()]


def in_package(path):
    return path.is_relative_to(ROOT / "keras_neuroplastic")


def test_there_is_one_version(metadata):
    assert metadata["Version"] == VERSION
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", citation, re.MULTILINE)[1] == VERSION
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {VERSION} " in changelog


def test_the_long_description_is_good_outside_of_the_repository(metadata):
    description = metadata.get_payload(decode=True).decode()
    urls = dict(u.split(", ") for u in metadata.get_all("Project-URL"))
    links = re.findall(r"\]\(([^)]+)\)", description)
    within = 0
    for link in links:
        place = re.match(
            rf"{urls['Repository']}/(?:blob|raw)/v{VERSION}/([^#]+)(#.+)?$", link
        )
        if place:
            assert (ROOT / place[1]).exists(), link
            within += 1
        else:
            assert link.startswith(("https://", "#")), link
    assert within > 5
    assert "pip install 'keras-neuroplastic[jax]'" in description


def test_what_it_needs(metadata):
    needed = metadata.get_all("Requires-Dist")
    assert [name for name in needed if "extra" not in name] == ["keras>=3.10"]
    assert "License :: " not in str(
        metadata.get_all("Classifier")
    )  # see the expression
    assert metadata["License-Expression"] == "Apache-2.0"


def test_annotations():
    """mypy accepts right arguments of the public names, and tells wrong ones.

    It asks for a comment where there is an error, and for none where there is none.
    """
    pytest.importorskip("mypy", reason="needs the extra `dev`")
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "tests/typed_use.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
