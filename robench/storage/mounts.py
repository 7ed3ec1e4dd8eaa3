"""On what kind of file system a path lies: SQLite relies on locks that shared ones do not keep."""

from __future__ import annotations

import re
from pathlib import Path

SHARED = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "afs", "ceph", "fuse.glusterfs")
"""Types of /proc/mounts whose files other machines may write."""

_MOUNTS = Path("/proc/self/mounts")
_ESCAPE = re.compile(r"\\([0-7]{3})")


def shared_type(path: Path) -> str:
    """Return the type of the file system of a path if it is a network share, else nothing; nothing without /proc.

    Source: https://sqlite.org/faq.html, question 5: file locking over networks is broken in many implementations.
    """
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    found = file_system_type(path, mounts)
    return found if found in SHARED else ""


def file_system_type(path: Path, mounts: str) -> str:
    """Return the type of the file system that a path lies on, by the text of /proc/mounts.

    Args:
        path: Absolute, links followed.
        mounts: Lines of device, folder, type and more; blanks in folders are octal escapes. Of two mounts on one folder
            the later hides the earlier.

    Returns:
        Empty if no line speaks of the path.
    """
    best, kind = -1, ""
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < len(("device", "folder", "type")):
            continue
        folder = Path(_ESCAPE.sub(lambda code: chr(int(code[1], 8)), fields[1]))
        if path.is_relative_to(folder) and len(folder.parts) >= best:
            best, kind = len(folder.parts), fields[2]
    return kind
