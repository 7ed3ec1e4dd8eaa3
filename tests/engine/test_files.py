"""Files that are whole or absent."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file

from robench.engine.files import replacing

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_tensors_get_the_permissions_that_the_umask_allows(tmp_path: Path, umask: int, mode: int) -> None:
    path = tmp_path / "some.safetensors"
    before = os.umask(umask)
    try:
        with replacing(path) as temporary:
            save_file({"some": torch.zeros(3)}, temporary)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode
