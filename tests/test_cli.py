"""The front door: exit codes, one clear line for what goes wrong, and nothing heavy before it is needed."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from glaswerk import __version__
from glaswerk.cli import main as front
from glaswerk.cli.terminal import CONCEPTS, TerminalProgress, print_json
from glaswerk.errors import GlaswerkError


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Make ``glaswerk fake`` do what a test wants."""

    def install(does: Callable[[], None]) -> None:
        app = typer.Typer(add_completion=False)

        @app.command()
        def fake(count: int = typer.Option(1, help="How many.")) -> None:
            """Do what the test wants."""
            does()

        module = types.ModuleType("glaswerk.cli.fake")
        module.app = app  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "glaswerk.cli.fake", module)
        monkeypatch.setitem(front.VERBS, "fake", "only in this test")

    return install


def raising(error: BaseException) -> Callable[[], None]:
    def does() -> None:
        raise error

    return does


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    assert front.dispatch(arguments) == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in front.VERBS) and "\033" not in shown


def test_version(capsys: pytest.CaptureFixture) -> None:
    assert front.dispatch(["--version"]) == 0
    assert capsys.readouterr().out == f"glaswerk {__version__}\n"


@pytest.mark.parametrize(("typed", "meant"), [("genrate", "generate"), ("tokeniser", "tokenizer"), ("Run", "run")])
def test_an_unknown_verb_exits_2_with_the_near_one(typed: str, meant: str, capsys: pytest.CaptureFixture) -> None:
    assert front.dispatch([typed]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err == f"glaswerk: there is no verb {typed!r}; did you mean `glaswerk {meant}`?\n"


def test_a_verb_like_no_other_points_to_help(capsys: pytest.CaptureFixture) -> None:
    assert front.dispatch(["xyzzy"]) == 2
    assert "see `glaswerk --help`" in capsys.readouterr().err


def test_a_done_verb_exits_0(verb) -> None:
    verb(lambda: None)
    assert front.dispatch(["fake"]) == 0


def test_a_verb_may_choose_its_exit_code(verb) -> None:
    verb(raising(typer.Exit(1)))
    assert front.dispatch(["fake"]) == 1


@pytest.mark.parametrize(
    "arguments", [["--no-such-option"], ["--count", "many"], ["surplus"], ["--count"]], ids=lambda a: a[0]
)
def test_wrong_usage_exits_2_and_says_what_is_wrong(verb, arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    verb(lambda: None)
    assert front.dispatch(["fake", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and arguments[0] in err and "Traceback" not in err


def test_what_the_user_can_mend_is_one_line_and_exit_1(verb, capsys: pytest.CaptureFixture) -> None:
    verb(raising(GlaswerkError("the file is empty: write something into it")))
    assert front.dispatch(["fake"]) == 1
    assert capsys.readouterr() == ("", "glaswerk: the file is empty: write something into it\n")


def test_a_full_disk_anywhere_is_one_line(verb, capsys: pytest.CaptureFixture) -> None:
    verb(raising(OSError(errno.ENOSPC, "No space left on device", "big.bin")))
    assert front.dispatch(["fake"]) == 1
    err = capsys.readouterr().err
    assert "no space left" in err and "big.bin" in err and err.count("\n") == 1


def test_a_file_that_cannot_be_opened_anywhere_is_not_said_to_be_written(verb, capsys: pytest.CaptureFixture) -> None:
    verb(raising(OSError(errno.EIO, "Input/output error", "texts.gz")))
    assert front.dispatch(["fake"]) == 1
    assert capsys.readouterr().err == "glaswerk: cannot read or write texts.gz: Input/output error\n"


@pytest.mark.parametrize("bug", [ZeroDivisionError, EOFError])
def test_an_error_of_ours_is_not_hidden(verb, bug: type[Exception]) -> None:
    """A bug must stay a traceback: only what the user can mend becomes a line. A file that ends too early (EOFError)
    is no interruption."""
    verb(raising(bug()))
    with pytest.raises(bug):
        front.dispatch(["fake"])


@pytest.mark.parametrize("how", [KeyboardInterrupt(), typer.Abort()], ids=["ctrl-c", "ctrl-d at a prompt"])
def test_interrupted_exits_130(verb, how: BaseException, capsys: pytest.CaptureFixture) -> None:
    verb(raising(how))
    assert front.dispatch(["fake"]) == 130
    assert "what was finished is kept" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error() -> None:
    """`glaswerk ... | head -1`: no traceback, not even the one that Python prints at exit."""
    done = subprocess.run(
        f"{sys.executable} -c 'from glaswerk.cli import main\n"
        'main.VERBS.update({f"v{n}": "x" * 90 for n in range(9000)})\n'
        "main.main([])' | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.startswith("glaswerk") and done.stderr == ""


def test_a_verb_whose_reader_goes_away_exits_0(verb, capfd: pytest.CaptureFixture) -> None:
    verb(raising(BrokenPipeError(errno.EPIPE, "Broken pipe")))
    saved = os.dup(1)
    try:
        assert front.dispatch(["fake"]) == 0
    finally:
        os.dup2(saved, 1)
    assert capfd.readouterr().err == ""


def test_python_dash_m_is_the_command(python) -> None:
    done = python("-m", "glaswerk", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"glaswerk {__version__}\n", "")


def test_help_loads_neither_torch_nor_typer(python) -> None:
    done = python("-X", "importtime", "-m", "glaswerk", "--help")
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "glaswerk.cli.main" in loaded
    assert not loaded & {"torch", "numpy", "typer", "rich", "transformers"}


def test_a_mistyped_model_is_said_before_torch_is_loaded(python, tmp_path: Path) -> None:
    """One fresh process asks every verb that opens a model for one that there is not."""
    calls = [
        ["chat", "nosuch"],
        ["generate", "nosuch", "x"],
        ["trace", "nosuch", "x"],
        ["export", "nosuch", str(tmp_path / "out"), "--to", "hf"],
        ["export", "nosuch", str(tmp_path / "out"), "--to", "site"],
        ["export", "nosuch", str(tmp_path / "out"), "--to", "notebooks"],
        ["lab", "nosuch", "--port", "0", "--no-open"],
    ]
    done = python(
        "-c",
        "import sys\n"
        "from glaswerk.cli.main import dispatch\n"
        f"for call in {calls!r}:\n"
        "    print(dispatch(call), 'torch' in sys.modules)\n",
    )
    assert done.stdout.splitlines() == ["1 False"] * len(calls), done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == len(calls) and all("there is no model 'nosuch'" in line for line in lines)
    assert not (tmp_path / "out").exists()


def test_json_is_one_line_with_the_characters_as_they_are(capsys: pytest.CaptureFixture) -> None:
    print_json({"text": "Grüße ⏎\n"})
    assert capsys.readouterr().out == '{"text": "Grüße ⏎\\n"}\n'


@pytest.mark.parametrize(("encoding", "text"), [("utf-8", "half \ud800 ü"), ("ascii", "Grüße")])
def test_json_that_stdout_cannot_hold_is_escaped(encoding: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    print_json({"text": text})
    assert json.loads(written.getvalue().decode("ascii")) == {"text": text}


def test_a_prompt_from_stdin_that_is_not_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from glaswerk import opened

    (tmp_path / "config.json").write_text("{}")
    prompts: list[str] = []

    class Fake:
        def stream(self, prompt: str, **options: object) -> list[object]:
            prompts.append(prompt)
            return []

    monkeypatch.setattr(opened, "load", lambda model, dtype: Fake())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9, \xc3\xbc"), encoding="utf-8"))
    assert front.dispatch(["generate", str(tmp_path), "-"]) == 0
    assert prompts == ["caf\ufffd, ü"]


def test_constrain_is_a_pattern_or_a_schema(tmp_path: Path) -> None:
    from glaswerk.cli.generate import constraint

    schema = {"type": "object"}
    (tmp_path / "s.json").write_text('{"type": "object"}')
    assert constraint("") == {}
    assert constraint(" yes| no") == {"regex": " yes| no"}
    assert constraint(r"\w+\.json") == {"regex": r"\w+\.json"}
    assert constraint('{"type": "object"}') == constraint(str(tmp_path / "s.json")) == {"json_schema": schema}
    (tmp_path / "list.json").write_text("[1]")
    for wrong, what in (("{oops", "no JSON schema"), (str(tmp_path / "list.json"), "object"), ("no.json", "no file")):
        with pytest.raises(GlaswerkError, match=what):
            constraint(wrong)


def test_progress_in_a_pipe_is_result_lines_on_stderr(capsys: pytest.CaptureFixture) -> None:
    progress = TerminalProgress()
    progress.start("read", total=10, unit="files")
    progress.advance(10)
    progress.note("two were empty")
    progress.done("8 documents")
    out, err = capsys.readouterr()
    assert out == "" and "\033" not in err
    lines = err.splitlines()
    assert lines[0].split() == ["two", "were", "empty"]
    assert lines[1].startswith("✓ read") and "8 documents" in lines[1] and lines[1].endswith("s")


def test_concept_colours_are_readable_on_a_dark_ground() -> None:
    """STYLE asks for a contrast of 5:1 (WCAG 2.2's relative luminance) on the night ground."""

    def luminance(colour: str) -> float:
        parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    ground = luminance("#14161b")
    for concept, colour in CONCEPTS.items():
        assert (luminance(colour) + 0.05) / (ground + 0.05) >= 5, concept
