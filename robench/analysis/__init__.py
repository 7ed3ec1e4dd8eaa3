"""Metrics and intervals over counted outcomes. Neither torch nor SQL."""

from robench.analysis.intervals import clopper_pearson, wilson
from robench.analysis.summary import summarise

__all__ = ["clopper_pearson", "summarise", "wilson"]
