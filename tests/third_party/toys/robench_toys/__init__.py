"""Toys: a data set, a classifier, two defenses and an attack that take a second."""
