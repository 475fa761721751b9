"""Where text is cut before merging: no BPE token ever reaches across one of these cuts.

The expressions are the published ones (Radford et al. 2019 for GPT-2; OpenAI's tiktoken for GPT-4 and
GPT-4o), in the form that `tokenizers` writes into ``tokenizer.json``; the classes ``\\p{L}`` (letters) and
``\\p{N}`` (numbers) need the ``regex`` package. Left out: the patterns of other models, which arrive inside
their own ``tokenizer.json``.
"""

from __future__ import annotations

#: contractions | words with the space before them | numbers | punctuation | spaces
GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

#: GPT-2's, after each digit was made a piece of its own (SmolLM2): numbers are read and written one place at a time;
#: white space before a digit stays together, as it is then the end of its part
GPT2_DIGITS = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?=\p{N})|\s+(?!\S)|\s+"

#: also: contractions in capitals, at most three digits together, a line end ends the piece
GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)

#: also: marks count as letters, a capital begins a new piece (camelCase), contractions stay with their word
GPT4O = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

PATTERNS = {"gpt2": GPT2, "gpt4": GPT4, "gpt4o": GPT4O, "digits": GPT2_DIGITS}

#: the same cuts in the wording that tiktoken publishes, which its engine runs faster (``++``: never give
#: back)
QUICK = {
    GPT2: r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s",
    GPT2_DIGITS: (r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++|\p{N}| ?[^\s\p{L}\p{N}]++|\s++$|\s++(?=\p{N})|\s+(?!\S)|\s"),
    GPT4: (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
        r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
    ),
}
