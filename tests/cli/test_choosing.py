"""``--set``, ``--classifier FILE`` and ``robench plugins show`` as a user meets them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file

if TYPE_CHECKING:
    from tests.cli.conftest import Program

MODEL = """
from torch import nn

def build(shape, classes):
    return nn.Sequential(nn.AvgPool2d((2, 8)), nn.Flatten(), nn.Linear(classes, classes))
"""
COMMANDS = ("run", "train", "diagnose", "verify-engine")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_works_with_plugins_takes_settings(program: Program, command: str) -> None:
    result = program(command, "--set", "puvea.error=pixel")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == 'error: --set puvea.error: unknown plugin "puvea"; did you mean "puvae"?\n'


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        (
            "puvae.architecture=resnet",
            '--set puvae.architecture: must be one of "auto", "compact", "paper", "c", "c-4x4", "c-late-label", "d"',
        ),
        ("puvae.latent_noise=-1", "--set puvae.latent_noise: puvae: latent_noise is -1"),
        ("magnet.x=1", "--set magnet.x: magnet is not used here, so it has no effect"),
        ("puvae", "is not PLUGIN.KEY=VALUE"),
    ],
)
def test_a_setting_that_cannot_be_is_named(program: Program, setting: str, complaint: str) -> None:
    result = program("run", "--defense", "puvae", "--attack", "fgsm", "--set", setting)
    assert (result.returncode, result.stdout) == (2, "")
    assert complaint in result.stderr
    assert result.stderr.startswith("error: ")


def test_a_classifier_of_ones_own_is_run_reported_and_replayed(program: Program) -> None:
    (program.folder / "model.py").write_text(MODEL)
    weights = {"2.weight": 20 * torch.eye(4), "2.bias": torch.zeros(4)}
    save_file(weights, program.folder / "model.safetensors")
    own = ("--classifier", "model.py:build", "--classifier-weights", "model.safetensors")
    run = program(*program.toy_run, *own, "--keep-examples", "--json")
    assert run.returncode == 0, run.stderr
    assert "classifier model.py:build: 100.0 % of 300 validation images right" in run.stderr
    assert json.loads(run.stdout)["classifier"] == "model.py:build"
    assert "model.py:build" in program("report").stdout
    replay = program("replay", "--defense", "none", *own, "--json")
    assert replay.returncode == 0, replay.stderr
    assert json.loads(replay.stdout)["unchanged"] is True


@pytest.mark.parametrize("suffix", ["pt", "pth", "pkl", "ckpt", "bin"])
def test_a_pickle_is_refused_unread_with_the_way_out(program: Program, suffix: str) -> None:
    result = program(*program.toy_run, "--classifier", f"model.{suffix}")
    assert result.returncode == 2
    assert "is a pickle, and loading one runs whatever code is in it" in result.stderr
    assert 'save_model(model, "weights.safetensors")' in result.stderr


def test_weights_that_do_not_fit_are_listed(program: Program) -> None:
    (program.folder / "model.py").write_text(MODEL)
    save_file({"2.weight": torch.eye(3), "bias": torch.zeros(4)}, program.folder / "model.safetensors")
    own = ("--classifier", "model.py:build", "--classifier-weights", "model.safetensors")
    result = program(*program.toy_run, *own, "--quiet")
    assert result.returncode == 2
    listed = "missing: 2.bias; unexpected: bias; of another shape: 2.weight is (3, 3), not (4, 4)"
    assert listed in result.stderr


def test_a_plugin_is_shown_with_its_parameters(program: Program) -> None:
    shown = program("plugins", "show", "puvae")
    assert shown.returncode == 0, shown.stderr
    for text in (
        "robench_plugins.defenses.puvae",
        'one of "auto", "compact", "paper", "c", "c-4x4", "c-late-label", "d"',
        "latent draw",
        "0.1",
    ):
        assert text in shown.stdout
    (attack,) = json.loads(program("plugins", "show", "pgd", "--json").stdout)["plugins"]
    assert (attack["kind"], attack["knowledge"], attack["norms"]) == ("attack", "naive", ["linf", "l2"])
    assert attack["forms"] == ["run", "sweep"]
    steps = next(item for item in attack["parameters"] if item["name"] == "steps")
    assert (steps["type"], steps["default"]) == ("a whole number", "40")
    assert steps["text"].startswith("Number of gradient steps")
    (data,) = json.loads(program("plugins", "show", "toy-bars", "--json").stdout)["plugins"]
    assert (data["shape"], data["parameters"]) == ([1, 8, 8], [])
    assert "no parameters" in program("plugins", "show", "toy-linear").stdout


def test_an_unknown_plugin_is_not_shown(program: Program) -> None:
    result = program("plugins", "show", "pdg")
    assert result.returncode == 2
    assert result.stderr == 'error: unknown plugin "pdg"; did you mean "pgd"?\n'


VARIANTS = """
schema = 1
[suites.toys]
dataset = "toy-bars"
classifier = "toy-linear"
defenses = ["none"]
attacks = ["pgd"]
epsilons = [0.3]
images = 30
[suites.toys.variants.one-step]
pgd.steps = 1
[suites.toys.variants.forty]
"""


def test_a_suite_with_variants_is_a_run_for_each_side_by_side(program: Program) -> None:
    (program.folder / "benchmarks.toml").write_text(VARIANTS, encoding="utf-8")
    together = program("run", "--suite", "toys", "--device", "cpu", "--json")
    assert together.returncode == 0, together.stderr
    found = json.loads(together.stdout)
    assert (found["suite"], list(found["variants"])) == ("toys", ["one-step", "forty"])
    steps = {name: run["details"]["attacks"]["pgd"]["parameters"]["steps"] for name, run in found["variants"].items()}
    assert steps == {"one-step": 1, "forty": 40}
    told = together.stderr.splitlines()
    assert told.index("variant one-step") < told.index("variant forty")
    assert found["variants"]["one-step"]["results"] != found["variants"]["forty"]["results"]
    alone = json.loads(program("run", "--suite", "toys", "--variant", "forty", "--device", "cpu", "--json").stdout)
    assert alone["variants"]["forty"]["run"] == found["variants"]["forty"]["run"]
    shown = program("report", "--suite", "toys")
    rows = [line.split()[:2] for line in shown.stdout.splitlines() if " none " in line]
    assert sorted(rows) == [["forty", "none"], ["one-step", "none"]]
    for run in found["variants"].values():
        assert run["run"] in shown.stdout
    one = json.loads(program("report", "--run", found["variants"]["forty"]["run"], "--json").stdout)
    assert one["run"] == found["variants"]["forty"]["run"]
    assert list(json.loads(program("report", "--suite", "toys", "--json").stdout)["variants"]) == list(
        found["variants"]
    )


def test_a_variant_is_not_what_another_setting_makes_of_it(program: Program) -> None:
    (program.folder / "benchmarks.toml").write_text(VARIANTS, encoding="utf-8")
    refused = program("run", "--suite", "toys", "--variant", "one-step", "--set", "pgd.steps=2")
    assert refused.returncode == 2
    assert "--set pgd.steps: this is what the variant one-step of toys sets" in refused.stderr
    other = program("run", "--suite", "toys", "--variant", "one-step", "--set", "pgd.relative_step=0.5", "--dry-run")
    assert "this is what the variant" not in other.stderr


def test_variants_are_not_put_beside_published_figures_as_if_they_were_one_run(program: Program) -> None:
    (program.folder / "benchmarks.toml").write_text(VARIANTS, encoding="utf-8")
    run = program("run", "--suite", "toys", "--variant", "forty", "--device", "cpu", "--json")
    number = json.loads(run.stdout)["variants"]["forty"]["run"]
    refused = program("report", "--suite", "toys", "--against", "paper")
    assert refused.returncode == 2
    assert f"name one --run: {number} (forty)" in " ".join(refused.stderr.split())


def test_variants_train_what_they_share_once(program: Program) -> None:
    (program.folder / "benchmarks.toml").write_text(VARIANTS, encoding="utf-8")
    command = ("train", "--suite", "toys", "--seed", "11", "--device", "cpu", "--json")
    for again in ((), ("--retrain",)):
        done = program(*command, *again)
        networks = json.loads(done.stdout)["networks"]
        assert [(entry["network"], entry["trained"]) for entry in networks] == [("toy-linear", True)]
        assert done.stderr.count("epoch 4/4") == 1
        assert done.stderr.count("variant ") == 2


def test_an_error_says_which_variant_it_is_about(program: Program) -> None:
    impossible = VARIANTS.replace('["none"]', '["toy-detect"]')
    impossible = impossible.replace("images = 30", "images = 30\nfalse_positive_rate = 1e-9")
    (program.folder / "benchmarks.toml").write_text(impossible, encoding="utf-8")
    for command in ("run", "plan"):
        refused = program(command, "--suite", "toys", "--device", "cpu")
        assert "error: variant one-step: " in refused.stderr


def test_a_variant_that_there_is_not_is_refused(program: Program) -> None:
    (program.folder / "benchmarks.toml").write_text(VARIANTS, encoding="utf-8")
    misspelt = program("run", "--suite", "toys", "--variant", "fourty")
    assert (misspelt.returncode, misspelt.stdout) == (2, "")
    assert misspelt.stderr == 'error: --variant: unknown variant of toys "fourty"; did you mean "forty"?\n'
    without = program("run", "--variant", "forty")
    assert without.stderr == "error: --variant forty: only a suite has variants; give --suite as well\n"
