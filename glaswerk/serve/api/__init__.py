"""The OpenAI-compatible API over the engine: ``glaswerk serve``. The library computes; what is here only asks it.

Left out: the lab (one folder up), and how the engine works (``generate/engine.py``).
"""
