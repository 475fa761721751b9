"""Measuring what a model can do. So far: bits per byte on text, and answers about its own corpus."""

from glaswerk.evaluate.answers import AnswerScore, names, overlap, score_answers
from glaswerk.evaluate.bits import TextScore, score_conversations, score_text

__all__ = ["AnswerScore", "TextScore", "names", "overlap", "score_answers", "score_conversations", "score_text"]
