"""A page in Markdown of which the marked blocks are generated.

<!-- NAME: from the records -->
what stands here is replaced
<!-- end of NAME -->

Everything else is written by hand.
"""

import re

BLOCK = re.compile(
    r"(<!-- (?P<name>[\w-]+): from the records -->\n).*?(<!-- end of (?P=name) -->)",
    flags=re.DOTALL,
)


def fill(page, blocks):
    """The page with the text of every block in its place.

    Args:
        page: Text with one pair of marks a block.
        blocks: A dict from name to text.

    Raises:
        ValueError: if marks and blocks are not the same, each once.
    """
    marked = [match["name"] for match in BLOCK.finditer(page)]
    if sorted(marked) != sorted(blocks):
        raise ValueError(
            f"the page has marks for {sorted(marked)}, the blocks are {sorted(blocks)}"
        )
    return BLOCK.sub(lambda m: f"{m[1]}\n{blocks[m['name']]}\n\n{m[3]}", page)
