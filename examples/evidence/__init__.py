"""What docs/results.md says in numbers, made from the records in examples/measured.

Files of blocks (claims, paper, studies, pairs, components, rates, defaults) have
functions from all records to the text of a block; `pages` puts it between the marks of
the page. `recipes` does so for docs/which-form.md, from examples/measured/recipes.
"""
