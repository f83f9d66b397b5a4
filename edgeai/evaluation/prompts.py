"""What stands before a question and around it: the same words for every model, and by default without a chat template.

That is how the benchmarks' figures are made. For English the words are lm-evaluation-harness's; the instructions of
JMMLU are our own, in Japanese; Jaster's are llm-jp-eval's format.

Source: lm_eval/tasks/mmlu (default and continuation), arc, hellaswag of EleutherAI/lm-evaluation-harness; the Alpaca
format in llm-jp/llm-jp-eval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeai.evaluation.types import By, Choice, Exercise, Question, Subject


@dataclass(frozen=True, slots=True)
class Template:
    """How a question becomes a prompt, in Python's str.format.

    Attributes:
        head: of the prompt; {subject} and {instruction} stand for the subject's.
        question: {text} stands for it, {choices} for its choices, a line each.
        choice: one of {choices}: {label} and {text}.
        answer: what is written after the question: {answer} is the choice's label, or its text, or the answer.
        between: what stands after an example.
    """

    head: str
    question: str
    answer: str = " {answer}"
    between: str = "\n\n"
    choice: str = "{label}. {text}"

    def beginning(self, subject: Subject, n_examples: int, by: By) -> str:
        """What all questions of a subject begin with: the head, and examples with their answers."""
        examples = (
            self.asked(example) + self.right_answer(example, by) + self.between
            for example in subject.examples[:n_examples]
        )
        return self.head_of(subject) + "".join(examples)

    def head_of(self, subject: Subject) -> str:
        """What stands before all questions of a subject, and before its examples."""
        return self.head.format(subject=subject.name.replace("_", " "), instruction=subject.instruction)

    def right_answer(self, question: Question, by: By) -> str:
        """What follows a question that is an example."""
        return self.answers(question, by)[question.answer if isinstance(question, Choice) else 0]

    def asked(self, question: Question) -> str:
        """A question, up to where its answer begins."""
        if not isinstance(question, Choice):
            return self.question.format(text=question.text)
        listed = "\n".join(
            self.choice.format(label=label, text=text)
            for label, text in zip(question.labels, question.choices, strict=True)
        )
        return self.question.format(text=question.text, choices=listed)

    def answers(self, question: Question, by: By) -> list[str]:
        """What may follow a question: each choice, or the right answer."""
        if isinstance(question, Choice):
            answers: Sequence[str] = question.labels if by == "letter" else question.choices
        else:
            answers = [question.answer] if isinstance(question, Exercise) else []
        return [self.answer.format(answer=answer) for answer in answers]


_LETTER = "{text}\n{choices}\nAnswer:"
_ANSWER = "Question: {text}\nAnswer:"
_ENGLISH_JASTER = (
    "Here is a combination of instructions explaining the task and inputs with context. "
    "Please write a response that adequately meets the request.\n\n### Instruction:\n{instruction}\n\n"
)
_JAPANESE_JASTER = (
    "以下は、タスクを説明する指示と、文脈のある入力の組み合わせです。要求を適切に満たす応答を書きなさい。\n\n"
    "### 指示:\n{instruction}\n\n"
)

TEMPLATES: Mapping[str, Mapping[By, Template]] = {
    "mmlu": {
        "letter": Template("The following are multiple choice questions (with answers) about {subject}.\n\n", _LETTER),
        "answer": Template("The following are questions (with answers) about {subject}.\n\n", _ANSWER),
    },
    "jmmlu": {
        "letter": Template("次は「{subject}」の四択問題とその答えです。\n\n", "問題: {text}\n{choices}\n答え:"),
        "answer": Template("次は「{subject}」の問題とその答えです。\n\n", "問題: {text}\n答え:"),
    },
    "arc": {"letter": Template("", "Question: {text}\n{choices}\nAnswer:"), "answer": Template("", _ANSWER)},
    "hellaswag": {"letter": Template("", _LETTER), "answer": Template("", "{text}")},
    "jaster": {"writing": Template(_JAPANESE_JASTER, "### 入力:\n{text}\n\n### 応答:\n", "{answer}")},
    "perplexity": {"text": Template("", "")},
}
"""By task and the way of asking."""

_ENGLISH = Template(_ENGLISH_JASTER, "### Input:\n{text}\n\n### Response:\n", "{answer}")


def template_for(task: str, by: By, subject: Subject) -> Template:
    """The template of a subject: Jaster's files may be English."""
    is_english = task == "jaster" and subject.instruction.isascii() and subject.instruction.strip() != ""
    return _ENGLISH if is_english else TEMPLATES[task][by]
