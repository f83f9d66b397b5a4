"""What may be read is what programs need, and nobody's home."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from edgeai.sandbox import paths, runtime_paths
from tests.sandbox.inside import linux_only

pytestmark = linux_only


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "user"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


def with_path(monkeypatch: pytest.MonkeyPatch, *entries: Path | str) -> tuple[str, ...]:
    monkeypatch.setattr(sys, "path", [str(entry) for entry in entries])
    return runtime_paths()


def test_all_of_them_exist_and_none_is_named_twice() -> None:
    found = runtime_paths()
    assert all(Path(path).is_absolute() and Path(path).exists() for path in found)
    assert len(set(found)) == len(found)
    assert {"/proc/self", "/dev/urandom", "/usr/lib"} <= set(found)
    home = Path.home()
    assert not any(home.is_relative_to(path) for path in found)


def test_a_home_and_what_holds_it_stay_closed(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    (home / "x.dist-info").mkdir()
    (home.parent / "x.dist-info").mkdir()
    (home / "notes.py").write_text("secret = 1")
    found = with_path(monkeypatch, home, home.parent, "/", "", ".", home / "missing")
    assert not any(path.startswith(str(home.parent)) or path in ("/", ".", "") for path in found)


def test_a_home_is_known_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd  # not on Windows

    monkeypatch.delenv("HOME")
    assert os.path.realpath(pwd.getpwuid(os.getuid()).pw_dir) == str(paths._home())
    assert paths._is_private(Path("/home"))
    assert paths._is_private(Path("/home/somebody"))
    assert not paths._is_private(Path("/home/somebody/lib"))


def test_of_a_checkout_only_the_packages_in_use_are_open(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    project = home / "project"
    for name in ("used_package", "other_package"):
        (project / name).mkdir(parents=True)
        (project / name / "__init__.py").write_text("")
    (project / "used_module.py").write_text("")
    (project / ".env").write_text("secret")
    monkeypatch.syspath_prepend(project)
    for name in ("used_package", "used_module"):
        __import__(name)
    opened = {path for path in with_path(monkeypatch, project) if path.startswith(str(home))}
    assert opened == {str(project / "used_package"), str(project / "used_module.py")}


def test_folders_that_installers_fill_are_open(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    vendored = home / "app" / "vendor"
    (vendored / "numpy-2.0.dist-info").mkdir(parents=True)
    archive = home / "app" / "app.zip"
    archive.write_bytes(b"")
    assert {str(vendored), str(archive)} <= set(with_path(monkeypatch, vendored, archive))


def test_the_linkers_own_path_is_open_but_no_home(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    (home / "cuda").mkdir()
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{home / 'cuda'}:{home}::relative:{home / 'missing'}")
    assert [path for path in runtime_paths() if path.startswith(str(home))] == [str(home / "cuda")]
