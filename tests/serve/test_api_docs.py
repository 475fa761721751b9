"""Every example of docs/serve.md runs as it stands, against a real server; the settings it lists are all of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import fields

import pytest
from api_server import KEY, ROOT, SETTINGS, Running, running, small_model, two_adapters

from glaswerk.found import find_adapters
from glaswerk.serve.api.models import with_adapters
from glaswerk.serve.api.settings import Settings

TEXT = (ROOT / "docs" / "serve.md").read_text("utf-8")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A model with two adapters, which one section is about."""
    base = small_model()
    files = two_adapters(base, tmp_path_factory.mktemp("adapters"))
    with running(base, SETTINGS, with_adapters(base, find_adapters(base.origin, files))) as found:
        yield found


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def run(served: Running, *command: str) -> str:
    environment = {**os.environ, "BASE": f"{served.url}/v1", "KEY": KEY, "MODEL": "small"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("number", range(len(blocks("bash"))))
def test_examples_with_curl(served: Running, number: int) -> None:
    told = run(served, "bash", "-euo", "pipefail", "-c", blocks("bash")[number])
    assert ('"choices"', "data: [DONE]", "glaswerk_tokens_sampled_total")[number] in told


def test_examples_with_the_official_client(served: Running) -> None:
    """One after the other, as a reader pastes them."""
    assert len(blocks("python")) >= 6
    told = run(served, sys.executable, "-c", "\n".join(blocks("python")))
    assert "blocks.0.attention.weights" in told and "weather" in told
    assert "small (the base)" in told and all(
        f"{name} (an adapter of small)" in told for name in ("formal", "tuned/sft")
    )


def test_the_settings_listed_are_all_there_are_with_their_values() -> None:
    (listed,) = blocks("toml")
    assert tomllib.loads(listed) == {
        field.name: list(field.default) if isinstance(field.default, tuple) else field.default
        for field in fields(Settings)
    }
