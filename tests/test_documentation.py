"""What README and docs say: code runs, commands and links are good."""

import argparse
import importlib.util
import re
import shlex
import subprocess
import tomllib
import unicodedata
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *sorted(ROOT.glob("docs/**/*.md"))]
BACKEND = keras.backend.backend()
# A heading with one of these names alone is over code for that backend alone.
BACKENDS = {"JAX": "jax", "TensorFlow": "tensorflow", "PyTorch": "torch"}
# These have models that take half a minute to compile, where something is compiled.
BACKENDS |= {"KerasHub": "torch", "BayesFlow": "torch"}
LANGUAGES = {"python", "sh", "math"}  # the last is for the site, which is strict

everywhere_the_same = pytest.mark.skipif(
    BACKEND != "jax", reason="the same on every backend"
)


def read(path):
    return path.read_text(encoding="utf-8")


def page_name(path):
    return path.relative_to(ROOT).as_posix()


def each_page(holding=""):
    pages = [path for path in PAGES if re.search(holding, read(path))]
    return pytest.mark.parametrize("path", pages, ids=page_name)


def each_page_of_code():
    """On TensorFlow, which compiles longest, those that are not of every backend."""
    code, of_its_own = "```python", "\n#+ TensorFlow\n|^# (Quickstart|keras-)"
    return each_page(of_its_own if BACKEND == "tensorflow" else code)


COMMAND = r"([A-Z_]+=\S+ )*(python -m|make|pip) "


def blocks(path):
    """The language, first line and lines of each block of code, and its heading."""
    heading, language, start, lines = "", None, 0, []
    for number, line in enumerate(read(path).splitlines(), start=1):
        if line.startswith("```"):
            if language is not None:
                yield language, start, lines, heading
            language = line[3:] if language is None else None
            start, lines = number + 1, []
        elif language is not None:
            lines.append(line)
        elif line.startswith("#"):
            heading = line.strip("# ")
    assert language is None, "a block that does not end"


@each_page_of_code()
def test_code_runs(path, tmp_path, monkeypatch):
    """The Python blocks of a page, one after the other, as a reader would."""
    monkeypatch.chdir(tmp_path)
    source = []
    for language, start, lines, heading in blocks(path):
        if language == "python" and BACKENDS.get(heading, BACKEND) == BACKEND:
            source += [""] * (start - 1 - len(source))  # an error tells its line
            source += lines
    exec(compile("\n".join(source), str(path), "exec"), {"__name__": "__main__"})


def commands(path):
    """Those of the shell, in blocks and within the text."""
    text = [re.sub(r"\s+", " ", c) for c in re.findall(r"`([^`]+)`", read(path))]
    text = [c for c in text if re.match(COMMAND, c)]
    shell = ["\n".join(lines) for kind, _, lines, _ in blocks(path) if kind == "sh"]
    in_blocks = [c for s in shell for c in s.replace("\\\n", " ").splitlines()]
    for command in [*in_blocks, *text]:
        command = re.sub(r"\$\(seq +(\d+) +(\d+)\)", sequence, command)
        words = shlex.split(command.removesuffix("..."), comments=True)
        while words and "=" in words[0]:
            del words[0]
        if words:
            yield words


def sequence(seq):
    """What the shell makes of `seq`."""
    return " ".join(map(str, range(int(seq[1]), int(seq[2]) + 1)))


class ParsedError(Exception):
    """Raised where a script would begin to work."""


@everywhere_the_same
@each_page("```sh|`" + COMMAND)
def test_commands_are_understood(path, monkeypatch):
    """Not run, which would take days: targets, extras, modules and arguments exist."""
    parse, exists = argparse.ArgumentParser.parse_args, Path.exists

    def is_there(self):  # or another command makes it
        return exists(self) or self.parts[:1] == ("results",)

    def parse_and_stop(self, args=None, namespace=None):
        parse(self, args, namespace)
        raise ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
    monkeypatch.setattr(Path, "exists", is_there)
    monkeypatch.chdir(ROOT)
    for words in commands(path):
        match words:
            case [python, "-m", "pytest", *arguments] if python.endswith("python"):
                [*files] = [a for a in arguments if a.endswith(".py")]
                assert files
                assert all(Path(file).exists() for file in files), words
            case ["python", "-m", module, *_] if "gpu_count" in module:
                # Changes how JAX is set up, and would in this process, too.
                assert importlib.util.find_spec(module)
            case ["python", "-m", module, *arguments]:
                monkeypatch.setattr("sys.argv", [module, *arguments])
                with pytest.raises(ParsedError):
                    importlib.import_module(module).main()
            case ["make", *targets]:
                run = subprocess.run(["make", "-n", *targets], capture_output=True)
                assert run.returncode == 0, words
            case ["pip", "install", *packages]:
                assert_installable(packages)
            case ["for" | "done" | "export", *_]:
                pass
            case _:
                pytest.fail(f"what is {words}?")


def assert_installable(words):
    """The package of this folder with extras that it has, or of what it needs."""
    project = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]
    extras = project["optional-dependencies"]
    names = {re.match(r"[\w-]+", n)[0] for group in extras.values() for n in group}
    for word in words:
        if name := re.fullmatch(r"\.(\[(.+)\])?", word):
            assert set((name[2] or "dev").split(",")) <= set(extras), word
        elif word not in ("-e", "--editable"):
            assert word in names, word


def anchors(path):
    """The addresses of the headings of a page, as repository hosts and ours make them.

    Letters of every alphabet stay, and so do hyphens.
    """
    for heading in re.findall(r"^#+ (.+)$", read(path), flags=re.MULTILINE):
        text = unicodedata.normalize("NFC", heading).lower().replace(" ", "-")
        yield re.sub(r"[^\w-]", "", text)


@everywhere_the_same
@each_page()
def test_links_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)\s]+)\)", read(path)):
        if link.startswith(("https://", "#keras_neuroplastic")):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        generated = anchor.startswith("keras_neuroplastic.")  # from docstrings
        if anchor and not generated:
            assert anchor in set(anchors(target)), link


@everywhere_the_same
@each_page("```")
def test_code_is_of_a_language_that_is_tested(path):
    assert {language for language, *_ in blocks(path)} <= LANGUAGES


@everywhere_the_same
def test_every_page_is_on_the_site():
    listed = re.findall(r"^ +- (?:.+: )?(\S+\.md)$", read(ROOT / "mkdocs.yml"), re.M)
    assert {f"docs/{page}" for page in listed} == {
        page_name(path) for path in PAGES if path.is_relative_to(ROOT / "docs")
    }


@everywhere_the_same
def test_every_public_name_is_on_the_page_of_the_api():
    import keras_neuroplastic

    listed = re.findall(
        r"^::: keras_neuroplastic\.(\w+)$", read(ROOT / "docs/api.md"), re.M
    )
    assert {*listed, "__version__"} == set(keras_neuroplastic.__all__)
