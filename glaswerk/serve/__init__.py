"""HTTP: the lab, its pages and their data. Nothing here computes; the library does.

Left out: the OpenAI-compatible API.
"""
