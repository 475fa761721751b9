"""From a vector to the next word: logits z = W_out h + b, then softmax, then the likeliest word.

    python -m demos.softmax_demo                                            auf Deutsch
    python -m demos.softmax_demo --lang en --h "0.5,1.2"                    with another h
    python -m demos.softmax_demo --lang en --w "1,0.5; -0.5,1; 0,0.5"       with another W_out, row by row

h is what self_attention_demo ends with: the context vector of "von" in "Paris ist die Hauptstadt von". Left out:
the other 50,000 words of a vocabulary, and drawing a word at random instead of taking the likeliest.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from demos.self_attention_demo import context_vector
from demos.talking import Parser, Talk, start

WORDS = ["Frankreich", "Deutschland", "Spanien"]
W_OUT = np.array([[1, 0.5], [-0.5, 1], [0, 0.5]])  # one row per word: what h should look like for it
B = np.array([0, 0.1, -0.1])  # one number per word: its head start, whatever h says
TEMPERATURES = [0.5, 1, 2]


def logits(h: np.ndarray, w_out: np.ndarray, b: np.ndarray) -> np.ndarray:
    return w_out @ h + b


def softmax(z: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Logits become shares that add up to one. Taking off the largest changes no share and keeps e^z in bounds."""
    z = z / temperature
    powers = np.exp(z - z.max())
    return powers / powers.sum()


def chain() -> np.ndarray:
    """The probabilities of WORDS after "Paris ist die Hauptstadt von": where crossentropy_demo begins."""
    return softmax(logits(context_vector(), W_OUT, B))


def read_numbers(text: str, name: str, count: int) -> list[float]:
    """``"0.5, 1.2"`` -> [0.5, 1.2]; one clear line where that is not ``count`` numbers."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(abs(number) <= 10 for number in numbers):
        example = ",".join(["0.5", "1.2", "-1"][:count])
        sys.exit(f"--{name} needs {count} numbers from -10 to 10 and a comma between them ({example}), not {text!r}")
    return numbers


def read_matrix(text: str) -> np.ndarray:
    rows = text.split(";")
    if len(rows) != len(WORDS):
        sys.exit(f'--w needs {len(WORDS)} rows and a semicolon between them ("1,0.5; -0.5,1; 0,0.5"), not {text!r}')
    return np.array([read_numbers(row, "w", W_OUT.shape[1]) for row in rows])


def tell(talk: Talk, options: argparse.Namespace) -> None:
    of_von = options.h is None  # else h is the reader's own
    h = context_vector() if of_von else np.array(read_numbers(options.h, "h", W_OUT.shape[1]))
    digits = 2 if of_von else None
    w_out = W_OUT if options.w is None else read_matrix(options.w)
    z = logits(h, w_out, B)
    p = softmax(z)
    words = [f"<token {word}>" for word in WORDS]

    talk.title(
        "Softmax: welches Wort folgt auf „Paris ist die Hauptstadt von“?",
        "Softmax: which word follows “Paris ist die Hauptstadt von”?",
    )
    talk.say(
        "Drei Wörter stehen zur Wahl. Ein richtiges Modell wählt unter Zehntausenden, auf dieselbe Weise.",
        "Three words to choose from. A real model chooses among tens of thousands, in the same way.",
    )

    talk.title("1. Was gegeben ist", "1. What is given")
    shown = f"  <residual h> = {talk.vector(h, digits)}   "
    if of_von:
        talk.say(shown + "der Kontextvektor von „von“", shown + "the context vector of “von”")
    else:
        talk.say(shown + "aus deiner Eingabe", shown + "as you gave it")
    talk.say(
        "W_out sagt je Wort, welches h zu ihm passt; b ist der Vorsprung, den ein Wort ohnehin hat.",
        "W_out says for each word which h fits it; b is the head start that a word has anyway.",
    )
    talk.table({"": words, "W_out": w_out, "b": B})

    talk.title("2. Logits: z = W_out h + b", "2. Logits: z = W_out h + b")
    talk.say(
        "Jede Zeile von W_out mal h, plus b. Ein <logit Logit z> ist ein Score, noch keine Wahrscheinlichkeit.",
        "Each row of W_out times h, plus b. A <logit logit z> is a score, not yet a probability.",
    )
    sums = [f"{talk.products(row, h, digits)} + {talk.factor(bias)} =" for row, bias in zip(w_out, B, strict=True)]
    talk.table({"": words, "W_out h + b": sums, "<logit z>": [talk.number(value, 3) for value in z]})

    talk.title("3. Softmax: e hoch z, geteilt durch die Summe", "3. Softmax: e to the power of z, over the sum")
    powers = np.exp(z)
    talk.say(
        f"e ist die Zahl {talk.number(np.e, 3)}. So wird jeder Wert positiv. Alle P zusammen sind 1.",
        f"e is the number {talk.number(np.e, 3)}. It makes every value positive. All P together are 1.",
    )
    total = talk.choose("Summe", "sum")
    columns = {"<logit z>": [*z, ""], "e^z": [*powers, powers.sum()], "<logit P>": [*p, p.sum()]}
    talk.table({"": [*words, total], **columns}, digits=3)

    talk.title("4. Temperatur: z durch T, dann erst Softmax", "4. Temperature: divide z by T, then softmax")
    talk.say(
        "Kleines T macht den Abstand größer, großes T macht alle ähnlicher. Die Reihenfolge bleibt.",
        "A small T widens the gap, a large T makes all more alike. The order stays.",
    )
    tempered = {f"T = {talk.number(t)}": softmax(z, t) for t in TEMPERATURES}
    talk.table({"": words, **tempered}, digits=2)

    talk.title("5. Die Wahl", "5. The choice")
    best = int(p.argmax())
    for word, share in zip(WORDS, p, strict=True):
        talk.say(f"  P(<token {word}>) = <logit {talk.number(share, 2)}>")
    talk.say(
        f"Argmax nimmt das größte P: <token {WORDS[best]}>, P({WORDS[best]}) = <logit {talk.number(p[best], 2)}>",
        f"Argmax takes the largest P: <token {WORDS[best]}>, P({WORDS[best]}) = <logit {talk.number(p[best], 2)}>",
    )
    talk.next("Wie gut war das? Der Verlust", "How good was that? The loss", "crossentropy_demo")


if __name__ == "__main__":
    parser = Parser(__doc__)
    parser.add_argument("--h", metavar="A,B", help='another context vector, for example "0.5,1.2"')
    parser.add_argument("--w", metavar="ROWS", help='another W_out, for example "1,0.5; -0.5,1; 0,0.5"')
    start(tell, parser)
