"""Measure how robust adversarial defenses really are, above all those that may reject an input."""

__version__ = "0.1.0"
