"""A kiosk that answers from a fixed rule sheet.

    python examples/kiosk.py [MODEL] < questions.txt

One question a line; an empty line is the next customer. The sheet is the system prompt: it is evaluated once, and its
tokens are reused for every question of every customer, as stderr shows. The default model is very small and is often
wrong: name a larger one for people.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

import edgeai

RULES = """\
You are the information desk of the Riverside swimming pool. Answer in one short sentence, only from these rules. If
the rules do not say it, answer: "Please ask the staff at the counter."
- The pool is open from 7:00 to 21:00 from Monday to Friday, and from 9:00 to 18:00 on Saturday and Sunday.
- A ticket costs 6 dollars for adults and 3 dollars for children under 12. Babies under 2 are free.
- Lockers need a 1 dollar coin, which comes back.
- Diving is allowed only in the deep pool. Running is not allowed anywhere.
- Food may be eaten on the lawn only. Glass bottles are not allowed.
- The sauna is closed on Mondays."""


class Kiosk:
    """Answers customers, one after the other.

    Attributes:
        n_prompt, n_reused: tokens of the last question's prompt, and those of them that had been evaluated before.
    """

    def __init__(self, session: edgeai.Session) -> None:
        """`session` was opened with RULES as its system prompt."""
        self._session = session
        self.n_prompt = self.n_reused = 0

    def next_customer(self) -> None:
        """Forget what the last one said."""
        self._session.reset()

    def answer(self, question: str) -> Iterator[str]:
        """The answer, in pieces as it is made."""
        response = self._session.chat(question, max_tokens=60, temperature=0, overflow="trim")
        yield from response
        self.n_prompt, self.n_reused = response.usage.prompt_tokens, response.usage.cached_tokens


def serve(kiosk: Kiosk, lines: Iterable[str]) -> None:
    """Answer line by line."""
    for line in lines:
        if not line.strip():
            kiosk.next_customer()
            print("--- next customer ---", flush=True)
            continue
        for piece in kiosk.answer(line.strip()):
            print(piece, end="", flush=True)
        print()
        print(f"({kiosk.n_reused} of {kiosk.n_prompt} tokens reused)", file=sys.stderr)


def main() -> None:
    model = sys.argv[1] if len(sys.argv) > 1 else None
    with edgeai.Session(model, system=RULES, n_ctx=2048) as session:
        serve(Kiosk(session), sys.stdin)


if __name__ == "__main__":
    main()
