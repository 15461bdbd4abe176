"""What the site adds to the Markdown, which reads well on a repository host as it is.

- A fence named `math` becomes MathML, which browsers show without any script.
- A line that is a link to a function, `[trace](../keras_neuroplastic/rules.py)`,
  becomes the code of that function as it stands there.
- A link to what lies outside of docs/ leads to the repository.
- The home page is the README, with its links as seen from docs/.
"""

import ast
import os.path
import re
import tomllib
from pathlib import Path

from latex2mathml.converter import convert

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
URLS = PROJECT["project"]["urls"]


def on_config(config):
    config.repo_url = URLS["Repository"]
    config.repo_name = "Repository"
    config.site_url = URLS["Documentation"]
    return config


def on_page_markdown(markdown, page, **kwargs):
    def replace(pattern, make):
        return re.sub(pattern, make, markdown, flags=re.DOTALL | re.MULTILINE)

    if page.is_homepage:
        markdown = (ROOT / "README.md").read_text(encoding="utf-8")
        markdown = replace(r"\]\((?!https:|#|docs/)", lambda m: "](../")
        markdown = replace(r"\]\(docs/", lambda m: "](")
    folder = Path("docs", page.file.src_uri).parent
    markdown = replace(r"^```math\n(.+?)\n```$", lambda m: formulas(m[1]))
    markdown = replace(
        r"^\[`(\w+)`\]\(([./\w]+\.py)\)$", lambda m: code(m[1], path(folder, m[2]))
    )
    return replace(
        r"\]\((\.\.?/[^)#]*)(#[^)]*)?\)",
        lambda m: f"]({outward(folder, m[1])}{m[2] or ''})",
    )


def formulas(text):
    """A display for each formula, which an empty line parts from the next."""
    blocks = [convert(part, display="block") for part in text.split("\n\n")]
    return "\n\n".join(f'<div class="formula">{block}</div>' for block in blocks)


def code(name, file):
    """The function of a file, but for its docstring, which the formulas repeat."""
    lines = (ROOT / file).read_text().splitlines()
    [node] = [
        n for n in ast.parse("\n".join(lines)).body if n.__dict__.get("name") == name
    ]
    docstring = node.body[0]
    if isinstance(docstring, ast.Expr):
        del lines[docstring.lineno - 1 : docstring.end_lineno]
        node.end_lineno -= docstring.end_lineno - docstring.lineno + 1
    text = "\n".join(lines[node.lineno - 1 : node.end_lineno])
    return f'```python title="{file}"\n{text}\n```'


def path(folder, link):
    """Where a relative link leads, seen from the root of the repository."""
    found = os.path.normpath(folder / link)
    if not (ROOT / found).exists():
        raise FileNotFoundError(f"{folder}: no {link}")
    return found


def outward(folder, link):
    found = path(folder, link)
    return (
        link if found.startswith("docs/") else f"{URLS['Repository']}/blob/main/{found}"
    )
