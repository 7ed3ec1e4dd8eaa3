"""What the settings name and nothing here has is told."""

from __future__ import annotations

from robench.config import load_config
from robench.config.location import packaged_source
from robench.registry import load_catalog
from robench.session.strangers import find_strangers


def test_a_distribution_that_is_not_there_to_be_disabled_is_told() -> None:
    known = {str(kind): names for kind, names in load_catalog({}).names().items()}
    environ = {"ROBENCH_DISABLE_PLUGINS": "no-such-distribution, pytest"}
    assert list(find_strangers(load_config(packaged_source()), environ, known)) == [
        "ROBENCH_DISABLE_PLUGINS: no-such-distribution is no installed distribution, and so nothing of it is left out"
    ]
