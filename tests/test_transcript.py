from __future__ import annotations

from edgeai.transcript import SEAM, Transcript


def by_pairs(text: str) -> list[int]:
    """A tokenizer whose tokens depend on where a text begins: two characters each."""
    return [hash(text[at : at + 2]) for at in range(0, len(text), 2)]


def test_a_growing_conversation_keeps_the_tokens_of_its_answers() -> None:
    transcript = Transcript(by_pairs)
    prompt = transcript.tokens("user: hi\nbot:", 99)
    assert prompt == by_pairs("user: hi\nbot:")
    transcript.add_answer(" yes", (1, 2, 3))
    longer = transcript.tokens("user: hi\nbot: yes\nuser: and?\nbot:", 99)
    assert longer == [*prompt, 1, 2, 3, *by_pairs("\nuser: and?\nbot:")]


def test_going_back_to_an_earlier_turn_keeps_what_is_equal() -> None:
    transcript = Transcript(by_pairs)
    first = transcript.tokens("A", 99)
    transcript.add_answer("b", (1,))
    second = transcript.tokens("AbC", 99)
    transcript.add_answer("d", (2,))
    transcript.tokens("AbCdE", 99)
    assert transcript.tokens("AbX", 99) == [*first, 1, *by_pairs("X")]
    assert transcript.tokens("AbCdE", 99)[: len(second) - 1] == [*first, 1]


def test_another_conversation_starts_from_nothing() -> None:
    transcript = Transcript(by_pairs)
    transcript.tokens("AAAA", 99)
    transcript.add_answer("bb", (1,))
    assert transcript.tokens("ZZZZ", 99) == by_pairs("ZZZZ")


def test_counting_remembers_nothing() -> None:
    transcript = Transcript(by_pairs)
    transcript.tokens("AAA", 99)
    transcript.add_answer("b", (1, 2, 3))
    assert transcript.count("AAAbCC") == 2 + 3 + 1
    assert transcript.count("CCCC") == 2
    assert transcript.tokens("AAAbCC", 99) == [*by_pairs("AAA"), 1, 2, 3, *by_pairs("CC")]


def test_nothing_is_tokenized_over_a_seam() -> None:
    assert Transcript(by_pairs).tokens(f"abc{SEAM}def", 99) == [*by_pairs("abc"), *by_pairs("def")]
