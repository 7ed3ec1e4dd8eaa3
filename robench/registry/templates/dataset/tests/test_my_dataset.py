"""Every check that `robench plugins check` makes, as a test of its own."""

from robench.testing import DatasetConformance


class TestMyDataset(DatasetConformance):
    """What robench demands of a data set."""

    name = "my-dataset"
