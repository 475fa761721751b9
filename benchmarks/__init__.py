"""Benchmarks: one command each, the peers measured in the same run, their outputs compared before anything is
timed.

Each module has ``run() -> dict`` with ``ours, peer, peer_name, unit, ratio`` (ratio > 1: we are better); what
is printed besides is added by ``__main__.py``. Nothing of a peer is in this project: they are installed or
cloned.
"""
