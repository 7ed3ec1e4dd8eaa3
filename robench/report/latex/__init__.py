"""A run as LaTeX tables, for a paper."""
