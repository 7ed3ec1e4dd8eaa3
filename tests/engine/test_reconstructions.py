"""What a selecting defense chooses from, as pictures in files."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from robench.api import Candidate, Candidates, Verdict
from robench.engine.deploy import Deployed
from robench.engine.reconstructions import Reconstructions, read_reconstructions, reconstruct, write_reconstructions
from robench.errors import RobenchError

if TYPE_CHECKING:
    from pathlib import Path

    from robench.api import ImageRandom

SHAPE = (1, 2, 2)


class Chooser(nn.Module):
    """Candidate k is the image plus k / 10, and noise."""

    def candidates(self, images: Tensor, random: ImageRandom) -> Candidates:
        noise = 0.01 * random.uniform(*SHAPE)
        made = torch.stack([images + noise + number / 10 for number in range(3)], dim=1)
        errors = torch.tensor([0.3, 0.1, 0.2]).expand(len(images), 3)

        def take(choice: Tensor) -> Candidate:
            taken = made[torch.arange(len(images)), choice]
            return Candidate(images=taken, logits=taken.flatten(1)[:, :3], error=errors[:, 0])

        return Candidates(errors=errors, take=take)

    def forward(self, images: Tensor, random: ImageRandom) -> Verdict:
        found = self.candidates(images, random)
        return Verdict(logits=found.take(found.errors.argmin(1)).logits)


def found(positions: tuple[int, ...] = (4, 9)) -> Reconstructions:
    deployed = Deployed(
        name="chooser",
        module=Chooser(),
        classifier=nn.Identity(),
        classes=3,
        threshold=None,
        stochastic=True,
        selecting=True,
    )
    attacked = torch.full((len(positions), *SHAPE), 0.5)
    indices = [10 * position for position in positions]
    return reconstruct(deployed, attacked, indices=indices, positions=positions, seed=1, attack="pgd")


def test_every_candidate_of_every_image_is_there_with_its_error() -> None:
    own = found()
    assert own.images.shape == (2, 3, *SHAPE)
    assert own.images.dtype == torch.uint8
    assert own.images.float().mean((2, 3, 4))[0].diff().tolist() == pytest.approx([25.5, 25.5], abs=1)
    assert own.errors[1].tolist() == pytest.approx([0.3, 0.1, 0.2])
    assert own.positions.tolist() == [4, 9]


def test_draws_belong_to_the_image() -> None:
    assert torch.equal(found((4, 9)).images[1], found((9,)).images[0])


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    own = found()
    write_reconstructions(tmp_path / "r.safetensors", own, {"cell": "c", "epsilon": "0.1"})
    read, facts = read_reconstructions(tmp_path / "r.safetensors", SHAPE)
    assert facts == {"cell": "c", "epsilon": "0.1"}
    for field in dataclasses.fields(own):
        assert torch.equal(getattr(read, field.name), getattr(own, field.name))


def test_files_of_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(RobenchError, match="cannot be read"):
        read_reconstructions(path, SHAPE)
    save_file({"images": torch.zeros(1)}, path)
    with pytest.raises(RobenchError, match="holds images"):
        read_reconstructions(path, SHAPE)
    write_reconstructions(path, found(), {})
    with pytest.raises(RobenchError, match=r"holds images \(2, 3, 1, 2, 2\)"):
        read_reconstructions(path, (3, 2, 2))
