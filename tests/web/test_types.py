"""The JSDoc types of our JavaScript hold: ``tsc --strict`` finds nothing (``npx tsc`` shows the same)."""

from __future__ import annotations

import subprocess
from pathlib import Path


def test_the_types_hold(node_modules: Path, root: Path) -> None:
    done = subprocess.run(
        ["node", str(node_modules / "typescript" / "bin" / "tsc"), "--project", str(root), "--pretty", "false"],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout
