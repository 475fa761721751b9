"""From a model that continues text to one that answers."""

from glaswerk.align.chats import load_chats
from glaswerk.align.sft import corpus_conversations, quiz

__all__ = ["corpus_conversations", "load_chats", "quiz"]
