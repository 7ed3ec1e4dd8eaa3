"""Metrics and intervals over counted outcomes. Neither torch nor SQL."""
