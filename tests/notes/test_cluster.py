"""Summaries on a cluster, which here is this process: what is sent, what is kept, what is done here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgeai.cluster import identity, model_identity
from edgeai.documents.types import Document
from edgeai.errors import OptionError
from edgeai.notes.cluster import Helpers, Plan, Worker
from edgeai.notes.condense import Wishes
from edgeai.notes.job import opened
from edgeai.notes.journal import jobs_dir
from edgeai.notes.markdown import markdown
from edgeai.notes.summarize import summarize
from edgeai.session import Session
from tests.inline_cluster import InlineCluster
from tests.notes.readers import MarkReader, marked_document
from tests.tiny_onnx import tiny_onnx

WISHES = Wishes(200, "")
DOCUMENTS = [marked_document(n, name=f"{n}.pdf", per_heading=4) for n in (8, 12, 16)]
N_STEPS = (2 + 1) + (3 + 1) + (4 + 1) + 1


def open_session(_model: str | None, **_options: Any) -> Session:
    return Session(backend=MarkReader())


def summary(cluster: InlineCluster | None, documents: list[Document]) -> tuple[str, int]:
    """The notes, and how often the model here was asked."""
    backend = MarkReader()
    with Session(backend=backend) as session, opened(session, documents, {}, {}) as job:
        plan = Plan(WISHES, {}, {}, identity(session), open_session)
        ask = job.ask(lambda _progress: None)
        if cluster is None:
            notes = summarize(session, documents, ask, WISHES)
        else:
            helpers = Helpers(cluster, plan, lambda _n_done, _n: None)
            with helpers.helping(session, documents, job.journal, ask) as helped:
                notes = summarize(session, documents, helped, WISHES)
        job.is_finished = True
    return markdown(notes), len(backend.asked)


def test_it_is_the_same_and_only_what_joins_documents_is_asked_here() -> None:
    alone, n_alone = summary(None, DOCUMENTS)
    cluster = InlineCluster()
    assert summary(cluster, DOCUMENTS) == (alone, 1)
    assert n_alone == N_STEPS
    assert cluster.done == DOCUMENTS
    assert not list(jobs_dir().iterdir()), "workers leave nothing either"


def test_what_came_back_is_kept_and_not_sent_again() -> None:
    with pytest.raises(ConnectionError):
        summary(InlineCluster(fails_after=2), DOCUMENTS)
    second = InlineCluster()
    assert summary(second, DOCUMENTS) == (summary(None, DOCUMENTS)[0], 1)
    assert second.done == DOCUMENTS[2:]


def test_another_model_on_a_machine_is_refused() -> None:
    with pytest.raises(OptionError, match="another file on a machine of the cluster"):
        Worker(Plan(WISHES, {}, {}, ["another"], open_session), 1)


def test_weights_beside_a_graph_count_too(tmp_path: Path) -> None:
    graph = tiny_onnx(tmp_path / "tiny") / "model.onnx"
    before = model_identity(graph)
    with graph.with_name("model.onnx.data").open("r+b") as file:
        file.write(b"\1")
    assert model_identity(graph) != before
