"""Examples before a question, and how far a score moves with its wording."""


def prompt(examples: list[tuple[str, str]], question: str, template: str) -> str:
    """Each example in the template with its answer after a space, one a line, then the question in the template, where
    ``{question}`` marks the place."""
    raise NotImplementedError("write it here")


def spread(rights: list[list[int]]) -> tuple[float, float, float]:
    """Of the shares of right answers, one for each wording: the lowest, the highest, and their standard deviation with
    n - 1."""
    raise NotImplementedError("write it here")
