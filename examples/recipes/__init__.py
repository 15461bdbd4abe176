"""One small script a kind of model; docs/which-form.md has what they measured."""
