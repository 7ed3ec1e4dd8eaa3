"""Every check that `robench plugins check` makes, as a test of its own."""

from robench.testing import AttackConformance


class TestMyAttack(AttackConformance):
    """What robench demands of an attack."""

    name = "my-attack"
