"""From a model that continues text to one that answers."""

from glaswerk.align.sft import corpus_conversations, load_chats, quiz

__all__ = ["corpus_conversations", "load_chats", "quiz"]
