"""Figures for Prometheus: what the engine counted, who waits, how long clients wait.

Names begin with ``glaswerk_``; times are seconds. Tokens per second are the rate of a counter, as Prometheus computes
it: ``rate(glaswerk_tokens_sampled_total[1m])``. Left out: anything about a prompt, a key or a client.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from glaswerk.serve.api.worker import Worker

FIRST = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
BETWEEN = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Metrics:
    """One server's figures, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("glaswerk_requests", "Requests answered.", ["route", "status"], registry=self.registry)
        self.seconds = Histogram(
            "glaswerk_request_seconds", "From the first byte asked to the last answered.", ["route"],
            registry=self.registry, buckets=FIRST,
        )  # fmt: skip
        self.first_token = Histogram(
            "glaswerk_first_token_seconds", "From the request to its first token (TTFT).",
            registry=self.registry, buckets=FIRST,
        )  # fmt: skip
        self.between_tokens = Histogram(
            "glaswerk_between_tokens_seconds", "Between two tokens of a reply (ITL).",
            registry=self.registry, buckets=BETWEEN,
        )  # fmt: skip
        self.refused = Counter(
            "glaswerk_refused", "Requests refused before they were computed.", ["why"], registry=self.registry
        )
        self.tokens = Counter(
            "glaswerk_model_tokens", "Tokens of requests that are over, of their prompts and replies.",
            ["model", "of"], registry=self.registry,
        )  # fmt: skip
        self.failures = Counter("glaswerk_engine_failures", "Steps that broke off.", registry=self.registry)

    def watch(self, worker: Worker) -> None:
        """Tell what this worker's engine counts, too."""
        self.registry.register(OfEngine(worker))

    def text(self) -> bytes:
        """As Prometheus reads it."""
        return generate_latest(self.registry)


class OfEngine(Collector):
    """Read when asked: the engine's own counters, and how full it is. Counters begin anew with a fresh engine, as
    Prometheus expects of a restart."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    def describe(self) -> list[Metric]:
        """Nothing is computed to register it."""
        return []

    def collect(self) -> Iterator[Metric]:
        engine = self.worker.engine
        counts, pages = engine.counts, engine.pages
        for name, text, value in (
            ("tokens_computed", "Tokens that the model read.", counts.computed_tokens),
            ("tokens_shared", "Tokens that a page held already (prefix cache hits).", counts.shared_tokens),
            ("tokens_sampled", "Tokens of replies.", counts.sampled_tokens),
            ("preemptions", "Replies sent back to wait for memory.", counts.preemptions),
            ("rounds", "Steps of the engine.", counts.rounds),
            ("passes", "Passes of the model.", counts.passes),
        ):
            yield CounterMetricFamily(f"glaswerk_{name}", text, value=value)
        for name, text, value in (
            ("queue", "Replies that wait.", len(engine.queue)),
            ("batch", "Replies that run.", len(engine.running)),
            ("pages", "Pages of the KV cache.", pages.count),
            ("pages_used", "Pages that a running reply holds.", pages.count - pages.available),
        ):
            yield GaugeMetricFamily(f"glaswerk_{name}", text, value=value)
