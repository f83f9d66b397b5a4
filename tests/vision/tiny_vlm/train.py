"""Train the tiny vision-language model: `python -m tests.vision.tiny_vlm.train FOLDER`, one run from fixed seeds.

Needs torch, transformers and sentencepiece, which no test needs. A run that was stopped goes on from its last
checkpoint in the folder. One thread: the sums are small, and waiting threads slow each other down.
"""

from __future__ import annotations

import random
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from . import tokenizer as tokenizers
from .batches import Arrays, Mix, Row, Words, collate, look, random_row
from .network import Network, new_model
from .pictures import COLOURS, SHAPES, random_scene
from .questions import overlap
from .saving import save

SEED = 8
CHECK_SEED = 80_000_000
"""Of the pictures that are looked at while training; the held-out ones have another (`evaluate.py`)."""
SIZE = 16


@dataclass(frozen=True)
class Stage:
    """Steps with a learning rate that goes evenly from one value to another, after `warm_up` steps."""

    n_steps: int
    first: float
    last: float
    warm_up: int = 0
    mix: Mix | None = None
    compares: bool = False
    """Whether the tower learns no more, and heads are taught to look at the shape that one is compared with."""


STAGES = (
    Stage(800, 4e-3, 4e-3, warm_up=60),  # the tower alone, by what its cells show, on twice as many pictures
    Stage(3_000, 3e-3, 3e-3, warm_up=60, mix=Mix(0.2)),
    Stage(1_500, 3e-3, 5e-5, mix=Mix(0.2)),
    Stage(450, 2e-3, 5e-5, mix=Mix(0.85, side=10.0), compares=True),  # more questions before the picture
)
CELL_SHARE, LOOK_SHARE = 0.3, 0.3
EVERY = 250
SPREAD = 3


class Steps(torch.utils.data.Dataset[Any]):
    """The batch of each step, by its number."""

    def __init__(self, words: Words) -> None:
        self.words = words

    def __getitem__(self, step: int) -> Arrays:
        torch.set_num_threads(1)
        stage, _ = rate(step)
        chance = random.Random(SEED * 10_000_000 + step)
        if stage.mix is None:
            return look([random_scene(chance) for _ in range(2 * SIZE)])
        return collate(rows_of(chance, self.words, stage.mix), self.words)


def rows_of(chance: random.Random, words: Words, mix: Mix) -> list[Row]:
    return [random_row(chance, words, random_scene(chance), mix) for _ in range(SIZE)]


def rate(step: int) -> tuple[Stage, float]:
    """The stage of a step and its learning rate."""
    at = step
    for stage in STAGES:
        if at < stage.n_steps:
            grown = min(1.0, (at + 1) / stage.warm_up) if stage.warm_up else 1.0
            return stage, grown * (stage.first + (stage.last - stage.first) * at / stage.n_steps)
        at -= stage.n_steps
    raise ValueError(step)


def losses(network: Network, batch: dict[str, Tensor], number: int, stage: Stage) -> dict[str, Tensor]:
    """The parts of what training makes small, each with its share."""
    with torch.set_grad_enabled(not stage.compares and torch.is_grad_enabled()):
        seen = network.see(batch["pixels"])
        parts = {"cells": cell_loss(network.cell_head(seen), batch)}
    if stage.mix is None:
        return parts
    scores, elsewhere, other = network.answer(seen, batch)
    named = batch["named"].any(-1)
    parts["text"] = text_loss(scores, batch["labels"], number)
    parts["look"] = LOOK_SHARE * elsewhere[named].mean()
    if stage.compares:
        parts["other"] = LOOK_SHARE * other[batch["other"].any(-1)].mean()
    parts["cells"] = CELL_SHARE * parts["cells"]
    return parts


def cell_loss(told: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """How wrong the head is on whether a cell shows a shape and its middle, and on which shape, colour and box."""
    there, centre, kind, colour, box = told.split([1, 1, len(SHAPES), len(COLOURS), 4], -1)
    shown = batch["kind"] >= 0
    loss = F.binary_cross_entropy_with_logits(there[..., 0], shown.float())
    loss = loss + F.binary_cross_entropy_with_logits(centre[..., 0], batch["centre"].float())
    loss = loss + F.cross_entropy(kind[shown], batch["kind"][shown])
    loss = loss + F.cross_entropy(colour[shown], batch["colour"][shown])
    return loss + 5 * (box[shown] - batch["box"][shown]).abs().mean()


def text_loss(scores: Tensor, labels: Tensor, number: int) -> Tensor:
    """Cross-entropy; the target of a box's number is spread over its neighbours (normal, sigma 1)."""
    asked = labels >= 0
    chances, labels = scores[asked].log_softmax(-1), labels[asked]
    plain = F.nll_loss(chances, labels, reduction="none")
    near = labels[:, None] + torch.arange(-SPREAD, SPREAD + 1)
    weight = torch.exp(-((near - labels[:, None]) ** 2) / 2.0) * ((near >= number) & (near <= number + 100))
    near_chances = chances.gather(1, near.clamp(0, chances.shape[1] - 1))
    smooth = -(weight * near_chances).sum(-1) / weight.sum(-1).clamp(min=1e-9)
    is_number = (labels >= number) & (labels <= number + 100)
    return torch.where(is_number, smooth, plain).mean()


@torch.no_grad()
def check(network: Network, words: Words, tokenizer: Any) -> str:
    """How many answers are right to the letter (each token being the likeliest behind the right ones), by kind."""
    right: dict[str, list[float]] = defaultdict(list)
    for seed in range(CHECK_SEED, CHECK_SEED + 24):
        rows = rows_of(random.Random(seed), words, Mix(0.5))
        batch = tensors(collate(rows, words))
        scores, *_ = network.answer(network.see(batch["pixels"]), batch)
        best = scores.argmax(-1)
        for index, row in enumerate(rows):
            for question, start, stop in row.asked:
                shown = f"{'before ' if row.first else ''}{len(row.scene.shapes)}"
                kind = f"{shown} {question.kind}"
                if question.kind == "box":
                    text = tokenizer.decode(best[index, start : stop - 1].tolist())
                    right[kind].append(overlap(text, row.scene.shapes[question.seen[0][1]]))
                else:
                    same = bool((best[index, start:stop] == batch["labels"][index, start:stop]).all())
                    right[kind].append(same)
                    right[f"{shown} all"].append(same)
    return "  ".join(f"{kind} {sum(values) / len(values):.3f}" for kind, values in sorted(right.items()))


def tensors(arrays: Arrays) -> dict[str, Tensor]:
    return {key: torch.from_numpy(array) for key, array in arrays.items()}


def resume(kept: Path, network: Network, optimizer: torch.optim.Optimizer) -> int:
    """Take up a checkpoint; the step to go on with, 0 where there is none."""
    if not kept.exists():
        return 0
    state = torch.load(kept, weights_only=True)
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizers.learn(folder)
    tokenizer = tokenizers.load(folder)
    words = Words(tokenizer)
    network = Network(new_model(tokenizer))
    optimizer = torch.optim.AdamW(network.parameters(), betas=(0.9, 0.98), weight_decay=0.01)
    total = sum(stage.n_steps for stage in STAGES)
    first = resume(folder / "checkpoint.pt", network, optimizer)
    loader = torch.utils.data.DataLoader(
        Steps(words), batch_size=None, sampler=range(first, total), num_workers=1, prefetch_factor=8
    )
    began = time.monotonic()
    sums: dict[str, float] = defaultdict(float)
    for step, batch in enumerate(loader, first):
        stage, lr = rate(step)
        parts = losses(network, batch, words.number, stage)
        optimizer.zero_grad()
        torch.stack(list(parts.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
        for key, part in parts.items():
            sums[key] += part.item() / 50
        if (step + 1) % 50 == 0:
            shown = " ".join(f"{key} {value:.3f}" for key, value in sums.items())
            print(f"{step + 1} {time.monotonic() - began:.0f} s lr {lr:.1e} {shown}", flush=True)
            sums.clear()
        if (step + 1) % EVERY == 0 or step + 1 == total:
            if stage.mix is not None:
                print(check(network, words, tokenizer), flush=True)
            state = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}
            torch.save(state, folder / "checkpoint.new")
            (folder / "checkpoint.new").replace(folder / "checkpoint.pt")
    save(network.model, tokenizer, folder / "tokenizer.model", folder / "model")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
