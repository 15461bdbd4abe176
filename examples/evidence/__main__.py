"""Makes the tables and figures of docs/results.md and docs/which-form.md from records.

make results
"""

import argparse
from pathlib import Path

from examples.arguments import Parser
from examples.evidence import pages, recipes


def main(argv=None):
    parser = Parser(
        prog="python -m examples.evidence",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--measured", type=Path, default=Path("examples/measured"), help="the records")
    add("--page", type=Path, default=Path("docs/results.md"), help="to be filled in")
    add("--pictures", type=Path, default=Path("docs/pictures"), help="folder for PNG")
    add("--forms", type=Path, default=Path("docs/which-form.md"), help="as --page")
    args = parser.parse_args(argv)
    for folder in args.measured, args.measured / "recipes":
        if not any(folder.glob("*.jsonl")):
            parser.error(f"argument --measured: {folder} holds no records")
    pages.write(args.measured, args.page, args.pictures)
    recipes.write(args.measured / "recipes", args.forms)


if __name__ == "__main__":
    main()
