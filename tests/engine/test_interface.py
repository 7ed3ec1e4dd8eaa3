"""What the engine hands to plugins is what robench.api promises."""

from __future__ import annotations

import dataclasses
import inspect

import pytest
import torch

import robench.api
from robench.api import Ascent, Budget, ImageRandom, SweepContext, Target, Trial
from robench.engine.ascent import GradientAscent
from robench.engine.deploy import BoundTarget, Deployed
from robench.engine.seeding import CalmStreams, ImageStreams, SelectedStreams, SharedDraws
from robench.engine.trial import BatchTrial
from robench.registry.version import MAJOR


@pytest.mark.parametrize(
    ("protocol", "implementation"),
    [
        (Target, BoundTarget),
        (Ascent, GradientAscent),
        (Trial, BatchTrial),
        *((ImageRandom, streams) for streams in (ImageStreams, CalmStreams, SelectedStreams, SharedDraws)),
    ],
)
def test_the_engine_implements_its_protocols(protocol: type, implementation: type) -> None:
    members = {name for name in vars(protocol) if not name.startswith("_")} | ({"__call__"} & set(vars(protocol)))
    assert members
    for name in members:
        promised, given = vars(protocol)[name], inspect.getattr_static(implementation, name)
        assert isinstance(promised, property) == isinstance(given, property), name
        if not isinstance(promised, property):
            kinds = [(item.name, item.kind, item.default) for item in inspect.signature(promised).parameters.values()]
            found = [(item.name, item.kind, item.default) for item in inspect.signature(given).parameters.values()]
            assert kinds == found, name


def test_balls_are_of_linf_unless_something_else_is_said() -> None:
    assert Budget(epsilon=0.1).norm == "linf"
    assert {field.name: field.default for field in dataclasses.fields(SweepContext)}["norm"] == "linf"


def test_the_interface_has_a_major_version_that_plugins_can_declare() -> None:
    assert robench.api.VERSION.split(".")[0] == str(MAJOR)


def test_a_defense_may_be_asked_about_what_has_no_version_counter() -> None:
    class Plain(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> robench.api.Verdict:
            return robench.api.Verdict(logits=images.flatten(1)[:, :2])

    deployed = Deployed(name="plain", module=Plain(), classifier=Plain(), classes=2, threshold=None, stochastic=False)
    with torch.inference_mode():
        verdict = deployed.verdict(torch.zeros(3, 1, 2, 2), ImageStreams(range(3), torch.device("cpu"), "any"))
    assert verdict.logits.shape == (3, 2)
