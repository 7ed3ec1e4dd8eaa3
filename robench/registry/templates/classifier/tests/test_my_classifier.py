"""Every check that `robench plugins check` makes, as a test of its own."""

from robench.testing import ClassifierConformance


class TestMyClassifier(ClassifierConformance):
    """What robench demands of a classifier."""

    name = "my-classifier"
