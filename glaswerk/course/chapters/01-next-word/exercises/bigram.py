"""A language model by counting: which word follows a word, and how often."""


def followers(words: list[str], word: str) -> dict[str, float]:
    """For each word that follows ``word`` somewhere in ``words``: its share of all that follow. None: an empty dict."""
    raise NotImplementedError("write it here")
