"""A program that embeds edgeai, to be killed: holds a conversation, stores it, and says what it has finished.

    python -m benchmarks.fault_victim MODEL TURNS [MAX_TOKENS]

Prints `open PID` (the engine's), then `finished CONVERSATION MESSAGE` for each stored answer, `error TEXT` for an error
of edgeai, and `done`.
"""

from __future__ import annotations

import sys

from edgeai import EdgeAIError, Session
from edgeai.history import History

QUESTION = "Tell me something about the sea, the wind and the people of the coast. " * 4


def main() -> None:
    """Hold the conversation."""
    model, n_turns, max_tokens = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 24
    try:
        talk(model, n_turns, max_tokens)
    except EdgeAIError as exc:
        say(f"error {exc}")
    say("done")


def talk(model: str, n_turns: int, max_tokens: int) -> None:
    with Session(model, n_threads=1, n_batch=32, overflow="trim") as session, History() as history:
        say(f"open {session.engine_pid}")
        history.recover()
        conversation, parent = history.create(model=session.model_name), None
        for _ in range(n_turns):
            user_id, answer_id = history.begin_turn(conversation.id, parent, QUESTION)
            response = session.chat(QUESTION, temperature=0, max_tokens=max_tokens)
            for _piece in response:
                history.save_partial(answer_id, response.partial_text)
            history.finish_turn(answer_id, response.text)
            say(f"finished {conversation.id} {answer_id}")
            parent = answer_id
            assert user_id


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
