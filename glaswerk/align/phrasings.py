"""How people ask: question forms in English and German that train. Those kept back to measure with are
``HELD_OUT`` of ``glaswerk/evaluate/phrasings.py``.

``{x}`` is the title. Left out: answers, which come from the corpus (``sft.py``).
"""

from __future__ import annotations

ABOUT = {
    "en": (
        "What is {x}?",
        "Tell me about {x}.",
        "What is {x}?",
        "Explain {x}.",
        "What do you know about {x}?",
        "Describe {x}.",
        "Can you tell me about {x}?",
        "{x}",
    ),
    "de": (
        "Was ist {x}?",
        "Erzähl mir etwas über {x}.",
        "Was ist {x}?",
        "Erkläre {x}.",
        "Was weißt du über {x}?",
        "Beschreibe {x}.",
        "Kannst du mir etwas über {x} sagen?",
        "{x}",
    ),
}
#: used instead of "What is" where the title names a person
PERSON = {"en": ("Who is {x}?", "Who was {x}?"), "de": ("Wer ist {x}?", "Wer war {x}?")}
#: the answer is the title itself: the shortest way to learn that an answer takes up the words of its question
SAY = {"en": ("Say {x}.", "Repeat: {x}", "Write {x}."), "de": ("Sag {x}.", "Wiederhole: {x}", "Schreib {x}.")}
CONTINUE = {
    "en": ("Continue this text: {x}", "How does this go on? {x}"),
    "de": ("Setze diesen Text fort: {x}", "Wie geht das weiter? {x}"),
}
#: what the model says of itself; ``{corpus}`` is what it was trained on, ``{title}`` something it read
SELF = {
    "en": (
        ("Hello", "Hello. Ask me about something from {corpus}, for example {title}."),
        ("Hi!", "Hello. Ask me about something from {corpus}, for example {title}."),
        ("Who are you?", "I am a small language model, trained from scratch on {corpus}. What I say is often wrong."),
        ("What can you do?", "I can say a little about what stands in {corpus}. I am small, so check what I say."),
        ("Thank you.", "You are welcome."),
    ),
    "de": (
        ("Hallo", "Hallo. Frag mich etwas aus {corpus}, zum Beispiel nach {title}."),
        ("Wer bist du?", "Ich bin ein kleines Sprachmodell, von Grund auf trainiert mit {corpus}. Ich irre mich oft."),
        ("Was kannst du?", "Ich kann ein wenig über {corpus} sagen. Ich bin klein, also prüfe, was ich sage."),
        ("Danke.", "Gern."),
    ),
}
#: what is preferred where the corpus has no such title
DONT_KNOW = {
    "en": "I do not know. I have read nothing about that.",
    "de": "Das weiß ich nicht. Darüber habe ich nichts gelesen.",
}
#: how a reply begins that says so, in small letters
DECLINES = (
    "i do not know",
    "i don't know",
    "i don’t know",
    "das weiß ich nicht",
    "ich weiß es nicht",
    "ich weiß nicht",
)


def declines(reply: str) -> bool:
    """Whether a reply says that it does not know."""
    return reply.strip().lower().startswith(DECLINES)
