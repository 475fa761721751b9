"""What each step of a trace is, in one line of English and one of German, and what its axes are.

Axes, one letter each: B batch, T time (the query's place), S the key's place, C width, H query heads, G
key/value heads, D head width, M neurons, V vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple


class Meaning(NamedTuple):
    """One line in each language, and the axes in order."""

    axes: str
    en: str
    de: str


#: the step's name -> its meaning; inside a block, the name without ``blocks.N.``
MEANINGS = {
    "tokens": Meaning(
        "BT",
        "The prompt as token ids: one whole number per token.",
        "Der Prompt als Token-IDs: eine ganze Zahl je Token.",
    ),
    "embeddings": Meaning(
        "BTC",
        "Each id's row of the embedding table: a vector per token, still blind to its neighbours.",
        "Zu jeder ID ihre Zeile der Embedding-Tabelle: ein Vektor je Token, der seine Nachbarn noch nicht kennt.",
    ),
    "position": Meaning(
        "TC",
        "A learned vector for each place in the text, added to the token that stands there.",
        "Ein gelernter Vektor für jede Stelle im Text; er wird zum Token an dieser Stelle addiert.",
    ),
    "position.cosine": Meaning(
        "TD",
        "The cosine of the angle by which each pair of a query or key is turned, place by place.",
        "Für jede Stelle der Kosinus des Winkels, um den ein Zahlenpaar von Query und Key gedreht wird.",
    ),
    "position.sine": Meaning(
        "TD",
        "The sine of the same angles; the first half is negated, as turning a pair needs it.",
        "Der Sinus derselben Winkel; die erste Hälfte trägt ein Minus, wie es die Drehung eines Paares verlangt.",
    ),
    "residual": Meaning(
        "BTC",
        "The residual stream before the first block: embedding plus position.",
        "Der Residualstrom vor dem ersten Block: Embedding plus Position.",
    ),
    "norm": Meaning(
        "BTC",
        "The residual stream after the last block, brought to an even size for the output.",
        "Der Residualstrom nach dem letzten Block, für die Ausgabe auf eine einheitliche Größe gebracht.",
    ),
    "logits": Meaning(
        "BTV",
        "A score for every token of the vocabulary: how well it would come next.",
        "Ein Score für jedes Token des Vokabulars: wie gut es als nächstes passt.",
    ),
    "probabilities": Meaning(
        "BTV",
        "The logits through softmax: a probability for every token, together 1.",
        "Die Logits nach der Softmax-Funktion: eine Wahrscheinlichkeit je Token, zusammen 1.",
    ),
    "choice": Meaning(
        "BT",
        "The likeliest next token after each place; the last one would continue the prompt.",
        "Nach jeder Stelle das wahrscheinlichste nächste Token; das letzte setzt den Prompt fort.",
    ),
    # ------------------------------------------------------------------ inside a block
    "attention_norm": Meaning(
        "BTC",
        "The residual stream, brought to an even size before attention reads it.",
        "Der Residualstrom, auf eine einheitliche Größe gebracht, bevor die Attention ihn liest.",
    ),
    "attention.q": Meaning(
        "BHTD",
        "Queries: for each head, what each token looks for.",
        "Queries: für jeden Kopf, wonach jedes Token sucht.",
    ),
    "attention.k": Meaning(
        "BGTD",
        "Keys: for each head, what each token offers to be found by.",
        "Keys: für jeden Kopf, woran sich jedes Token finden lässt.",
    ),
    "attention.v": Meaning(
        "BGTD",
        "Values: for each head, what each token hands over when it is looked at.",
        "Values: für jeden Kopf, was jedes Token weitergibt, wenn es beachtet wird.",
    ),
    "attention.q_normed": Meaning(
        "BHTD",
        "Queries brought to an even length, so that no single one outshouts the rest.",
        "Queries auf eine einheitliche Länge gebracht, damit keine die anderen übertönt.",
    ),
    "attention.k_normed": Meaning(
        "BGTD",
        "Keys brought to an even length, as the queries were.",
        "Keys auf eine einheitliche Länge gebracht, wie die Queries.",
    ),
    "attention.q_rotated": Meaning(
        "BHTD",
        "Queries turned by their place, so that a score depends on the distance between two tokens.",
        "Queries nach ihrer Stelle gedreht; so hängt ein Score vom Abstand zweier Tokens ab.",
    ),
    "attention.k_rotated": Meaning(
        "BGTD",
        "Keys turned by their place, with the same angles as the queries.",
        "Keys nach ihrer Stelle gedreht, um dieselben Winkel wie die Queries.",
    ),
    "attention.scores": Meaning(
        "BHTS",
        "Query times key, divided by the root of the head's width: how well each pair of tokens fits.",
        "Query mal Key, geteilt durch die Wurzel der Kopfbreite: wie gut je zwei Tokens zusammenpassen.",
    ),
    "attention.mask": Meaning(
        "BTS",
        "Who may look where: 1 at earlier tokens and itself, 0 at later ones.",
        "Wer wohin schauen darf: 1 bei früheren Tokens und sich selbst, 0 bei späteren.",
    ),
    "attention.weights": Meaning(
        "BHTS",
        "The allowed scores through softmax: the share of attention each token gives, in every row 1.",
        "Die erlaubten Scores nach der Softmax-Funktion: wie sich die Attention verteilt, je Zeile 1.",
    ),
    "attention.heads": Meaning(
        "BHTD",
        "Each head's mixture of the values, by its weights.",
        "Was jeder Kopf aus den Values mischt, nach seinen Gewichten.",
    ),
    "attention.head_outputs": Meaning(
        "BHTC",
        "Each head's own share of the attention output: its mixture through its columns of the output matrix.",
        "Der Anteil jedes Kopfes am Ergebnis der Attention: seine Mischung durch seine Spalten der Ausgabematrix.",
    ),
    "attention.output": Meaning(
        "BTC",
        "All heads joined: what attention adds to the residual stream.",
        "Alle Köpfe zusammengeführt: was die Attention zum Residualstrom addiert.",
    ),
    "residual_mid": Meaning(
        "BTC",
        "The residual stream after attention has added its part.",
        "Der Residualstrom, nachdem die Attention ihren Teil addiert hat.",
    ),
    "mlp_norm": Meaning(
        "BTC",
        "The residual stream, brought to an even size before the MLP reads it.",
        "Der Residualstrom, auf eine einheitliche Größe gebracht, bevor das MLP ihn liest.",
    ),
    "mlp.pre": Meaning(
        "BTM",
        "What enters each neuron, before the activation function.",
        "Was in jedes Neuron hineingeht, vor der Aktivierungsfunktion.",
    ),
    "mlp.up": Meaning(
        "BTM",
        "The second input of each neuron: it scales what the activation function lets through.",
        "Der zweite Eingang jedes Neurons: Er skaliert, was die Aktivierungsfunktion durchlässt.",
    ),
    "mlp.post": Meaning(
        "BTM",
        "What each neuron hands on, after the activation function.",
        "Was jedes Neuron weitergibt, nach der Aktivierungsfunktion.",
    ),
    "mlp.output": Meaning(
        "BTC",
        "All neurons joined: what the MLP adds to the residual stream.",
        "Alle Neuronen zusammengeführt: was das MLP zum Residualstrom addiert.",
    ),
    "block.residual": Meaning(
        "BTC",
        "The residual stream at the end of this block.",
        "Der Residualstrom am Ende dieses Blocks.",
    ),
}


def layer_of(name: str) -> int | None:
    """The block that a step belongs to; None outside the blocks."""
    return int(name.split(".")[1]) if name.startswith("blocks.") else None


def meaning(name: str) -> Meaning:
    """The meaning of a step by its full name. Raises ``KeyError`` for a tap that nobody has explained."""
    if not name.startswith("blocks."):
        return MEANINGS[name]
    part = name.split(".", 2)[2]
    return MEANINGS["block.residual" if part == "residual" else part]
