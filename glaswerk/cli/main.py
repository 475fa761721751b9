"""The command line's front door: finds the verb, imports only its file, and turns problems into one line.

One verb per file in this folder; each exposes ``app``, a ``typer.Typer``. Nothing heavy is imported here, so
that ``glaswerk --help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

#: verb -> the one line that `glaswerk --help` shows; the order is the order of the help
VERBS = {
    "run": "the main job: raw text -> tokenizer -> base model -> assistant -> answers",
    "lab": "the course and the open model, in the browser",
    "study": "the quiz cards that are due today: questions come back before you forget",
    "exercise": "a chapter's exercises; checks what you programmed",
    "eval": "measure a model on tasks: figures with their intervals, chance, what went wrong",
    "chat": "talk to a model in the terminal",
    "generate": "continue a prompt",
    "serve": "answer the OpenAI API with a model, many requests at once; a chat page",
    "trace": "follow a prompt through the model: every value, every head, and where it comes from",
    "export": "write a model for other tools (Hugging Face folder, GGUF), or the course as site or notebooks",
    "pull": "fetch a corpus, vocabulary, benchmark or model; hash-checked",
    "corpus": "look at texts the way a run reads them: counts, lengths, what is dropped and why",
    "tokenizer": "train, encode, decode, compare",
    "pretrain": "train one base model, a single stage",
    "sft": "teach a model to answer, a single stage; LoRA",
    "align": "learn from preferences: DPO, a reward model, rejection sampling; a single stage",
}


def main(argv: list[str] | None = None) -> None:
    """Run ``glaswerk VERB ...`` and exit: 0 done, 1 could not do it, 2 usage, 130 interrupted."""
    sys.exit(dispatch(sys.argv[1:] if argv is None else argv))


def dispatch(argv: list[str]) -> int:
    """Run one command line and return its exit code."""
    from glaswerk.errors import GlaswerkError

    try:
        code = answer(argv)
        sys.stdout.flush()  # here, where a reader that went away is still no error
        return code
    except GlaswerkError as error:
        print(f"glaswerk: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nglaswerk: interrupted; what was finished is kept", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # the reader (head, less) went away: not an error of ours, and Python must not complain at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        from glaswerk.home import explain

        print(f"glaswerk: {explain(error, error.filename or 'a file', 'read or write')}", file=sys.stderr)
        return 1


def answer(argv: list[str]) -> int:
    """Help, the version, or a verb."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(help_text())
        return 0
    if argv[0] in ("-V", "--version"):
        from glaswerk import __version__

        print(f"glaswerk {__version__}")
        return 0
    return invoke(argv[0], argv[1:]) if argv[0] in VERBS else usage(argv[0])


def invoke(verb: str, arguments: list[str]) -> int:
    """Import the verb's file, call its app and return the exit code."""
    import typer
    import typer.main

    app = import_module(f"glaswerk.cli.{verb}").app
    command = typer.main.get_command(app)
    try:
        # not command.main(): that one makes Ctrl-C and a closed pipe exit codes of its own, without a word
        with command.make_context(f"glaswerk {verb}", arguments) as context:
            result = command.invoke(context)
    except typer.Exit as stop:
        return int(stop.exit_code)
    except typer.Abort:  # Ctrl-C or Ctrl-D at a prompt; an EOFError elsewhere is a file that ends too early
        raise KeyboardInterrupt from None
    except Exception as problem:
        # usage errors show themselves; their class depends on whether typer carries its own click
        if not hasattr(problem, "show") or not hasattr(problem, "exit_code"):
            raise
        problem.show()
        return int(problem.exit_code)
    return result if isinstance(result, int) else 0


def usage(verb: str) -> int:
    """Say which verb was probably meant."""
    from difflib import get_close_matches

    near = get_close_matches(verb, VERBS, n=1)
    hint = f"did you mean `glaswerk {near[0]}`?" if near else "see `glaswerk --help`"
    print(f"glaswerk: there is no verb {verb!r}; {hint}", file=sys.stderr)
    return 2


def help_text() -> str:
    """What ``glaswerk --help`` prints: plain text, with bold verbs on a terminal."""
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    bold, end = ("\033[1m", "\033[0m") if colour else ("", "")
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {bold}{verb:<{width}}{end}  {line}" for verb, line in VERBS.items())
    return (
        f"{bold}glaswerk{end}: a language model you can see through\n\n"
        f"usage: glaswerk VERB ...     (glaswerk VERB --help says more)\n\n{verbs}\n\n"
        "MODEL is a run, a stage folder, a Hugging Face folder, a GGUF file, or a pulled name.\n"
        "Start with: glaswerk run"
    )


if __name__ == "__main__":
    main()
