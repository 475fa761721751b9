"""What every test shares: the tree's root, a command line in a fresh process, data that may not be there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def root() -> Path:
    """The folder of the whole project."""
    return ROOT


@pytest.fixture
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``python ARGUMENTS...`` in a fresh process from the project's root; its output is text."""

    def call(*arguments: str, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )

    return call


@pytest.fixture
def pulled() -> Callable[[str], Path]:
    """The folder of something pulled; where it is not here, the test is skipped and says what mends it."""

    def folder(name: str) -> Path:
        from glaswerk import pull

        if not pull.is_pulled(name):
            pytest.skip(f"{name} is not pulled: run `glaswerk pull {name}`")
        return pull.path(name)

    return folder


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The packages of package-lock.json that tests use (axe-core, typescript), installed once."""
    folder = ROOT / "node_modules"
    wanted = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]
    tools = {name: wanted[f"node_modules/{name}"]["version"] for name in ("axe-core", "typescript")}

    def there() -> bool:
        files = [(folder / name / "package.json", version) for name, version in tools.items()]
        return all(file.is_file() and json.loads(file.read_text("utf-8"))["version"] == is_ for file, is_ in files)

    if there():
        return folder
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed: apt-get install npm")
    done = subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=ROOT, capture_output=True, text=True, timeout=300)
    if done.returncode or not there():
        pytest.skip(
            "npm could not fetch axe-core and typescript: run `npm ci --ignore-scripts` where there is a network"
        )
    return folder


@pytest.fixture(autouse=True)
def same_torch_for_every_test() -> Iterator[None]:
    """torch's global seed and determinism do not depend on which tests ran before."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "manual_seed"):
        yield
        return
    torch.manual_seed(0)
    before = torch.are_deterministic_algorithms_enabled()
    yield
    torch.use_deterministic_algorithms(before)
