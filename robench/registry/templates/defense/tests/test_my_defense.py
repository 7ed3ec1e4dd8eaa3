"""Every check that `robench plugins check` makes, as a test of its own."""

from robench.testing import DefenseConformance


class TestMyDefense(DefenseConformance):
    """What robench demands of a defense."""

    name = "my-defense"
