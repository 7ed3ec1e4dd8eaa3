from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from robench.config import ConfigSource, find_config, load_config, packaged_text
from robench.config.location import read_text
from robench.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "deep" / "down").mkdir(parents=True)
    (tmp_path / "benchmarks.toml").write_text("schema = 1\n")
    return tmp_path


def source(path: Path) -> ConfigSource:
    return ConfigSource(path=path, label="the-file")


def test_the_file_is_searched_upward(project: Path) -> None:
    assert find_config(None, {}, project) == ConfigSource(path=project / "benchmarks.toml", label="benchmarks.toml")
    found = find_config(None, {}, project / "deep" / "down")
    assert found == ConfigSource(path=project / "benchmarks.toml", label="../../benchmarks.toml")


def test_a_folder_of_that_name_is_passed_over(project: Path) -> None:
    (project / "deep" / "benchmarks.toml").mkdir()
    assert find_config(None, {}, project / "deep").path == project / "benchmarks.toml"


def test_a_flag_beats_the_variable_beats_the_search(project: Path, tmp_path: Path) -> None:
    flag, environ = tmp_path / "flag.toml", {"ROBENCH_CONFIG": "variable.toml"}
    assert find_config(flag, environ, project) == ConfigSource(path=flag, label=str(flag))
    expected = ConfigSource(path=project / "variable.toml", label="variable.toml")
    assert find_config(None, environ, project) == expected
    assert find_config(None, {"ROBENCH_CONFIG": ""}, project).label == "benchmarks.toml"


def test_the_packaged_file_is_the_last_resort(tmp_path: Path) -> None:
    found = find_config(None, {}, tmp_path)
    assert found.label == "packaged benchmarks.toml"
    assert load_config(found).defaults.dataset == "mnist"
    assert read_text(found) == packaged_text()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^the-file: cannot be read: No such file or directory$"):
        read_text(source(tmp_path / "not-there"))


def test_a_folder_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the-file: cannot be read: Is a directory"):
        read_text(source(tmp_path))


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the-file: cannot be read"):
        read_text(source(tmp_path / "a\0b"))


def test_a_file_without_permission_is_refused(project: Path) -> None:
    (project / "benchmarks.toml").chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # permissions hold for others than root only
    try:
        with pytest.raises(UsageError, match="the-file: cannot be read: Permission denied"):
            read_text(source(project / "benchmarks.toml"))
    finally:
        os.seteuid(user)


def test_bytes_that_are_not_utf_8_are_refused_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(b"schema = 1\n# \xe9\n")
    with pytest.raises(UsageError, match=r"the-file: is not UTF-8 text \(at line 2\)"):
        read_text(source(path))


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "mark.toml"
    path.write_bytes(b"\xef\xbb\xbfschema = 1\n")
    assert load_config(source(path)).label == "the-file"


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "huge.toml"
    path.write_bytes(b"#" * 70_000)
    with pytest.raises(UsageError, match="the-file: is larger than 64 KiB"):
        read_text(source(path))
