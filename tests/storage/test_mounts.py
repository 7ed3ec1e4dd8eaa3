"""Network shares are recognised, and said to be dangerous."""

from __future__ import annotations

from pathlib import Path

import pytest

from robench.storage import mounts
from robench.storage.store import ResultStore

MOUNTS = r"""/dev/vda1 / ext4 rw,relatime 0 0
tmpfs /tmp tmpfs rw 0 0
server:/export /home nfs4 rw,vers=4.2 0 0
/dev/vdb /home/local xfs rw 0 0
//server/share /mnt/my\040share cifs rw 0 0
me@host:/ /mnt/ssh fuse.sshfs rw 0 0
host /mnt/twice 9p rw 0 0
/dev/vdc /mnt/twice ext4 rw 0 0
nonsense
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/results.db", "ext4"),
        ("/home/me/results.db", "nfs4"),
        ("/homework/results.db", "ext4"),
        ("/home/local/results.db", "xfs"),
        ("/mnt/my share/results.db", "cifs"),
        ("/mnt/ssh/results.db", "fuse.sshfs"),
        ("/mnt/twice/results.db", "ext4"),
    ],
)
def test_the_longest_and_latest_mount_counts(path: str, kind: str) -> None:
    assert mounts.file_system_type(Path(path), MOUNTS) == kind


def test_a_store_on_a_share_works_with_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "robench.db"
    (tmp_path / "mounts").write_text(f"/dev/vda1 / ext4 rw 0 0\nserver:/ {tmp_path} nfs rw 0 0\n")
    monkeypatch.setattr(mounts, "_MOUNTS", tmp_path / "mounts")
    warning = ResultStore.check(str(path))
    assert warning.startswith(f"{path} is on a network share (nfs)")
    assert warning.endswith("with --db")
    (tmp_path / "mounts").write_text("/dev/vda1 / ext4 rw 0 0\n")
    assert ResultStore.check(str(path)) == ""
    monkeypatch.setattr(mounts, "_MOUNTS", tmp_path / "nowhere")
    assert ResultStore.check(str(path)) == ""
