"""Stages after the assistant, and models that others made: preferences, rewards, adapters; each a folder of a run.

Left out: losses and batches (``align``), the loop (``train``), the main job (``pipeline.py``).
"""

from glaswerk.tuning.aligning import METHODS, align
from glaswerk.tuning.chatting import tune

__all__ = ["METHODS", "align", "tune"]
