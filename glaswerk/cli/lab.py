"""``glaswerk lab``: the course and the open model, in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

app = typer.Typer(add_completion=False)


@app.command()
def lab(
    model: str | None = typer.Argument(
        None,
        help="A run, a stage, a Hugging Face folder or a pulled name.",
        show_default="the newest run, else smollm2",
    ),
    port: int = typer.Option(8010, min=0, max=65535, help="Where it listens, on this machine only; 0: any free port."),
    open_: bool | None = typer.Option(None, "--open/--no-open", help="Open the browser.", show_default="in a terminal"),
    json: bool = typer.Option(False, "--json", help="Say where it listens as one JSON object on stdout."),
) -> None:
    """The browser app: the course, and every number of the open model. Stop it with Ctrl-C."""
    import os
    import sys

    from glaswerk.cli.terminal import console, print_json
    from glaswerk.found import find, run_named
    from glaswerk.serve.server import open_socket, serve

    if model is not None and run_named(model) is None:  # a run may still be training its first stage
        find(model)
    socket = open_socket(port)
    url = f"http://127.0.0.1:{socket.getsockname()[1]}/"
    by_hand = sys.stdin.isatty() and sys.stdout.isatty() and not os.environ.get("CI")

    def ready() -> None:
        if json:
            print_json({"url": url})
        else:
            screen = console(stderr=True)
            screen.print(f"the lab is at [bold]{url}[/bold]  [faint]Ctrl-C stops it[/faint]", soft_wrap=True)
        if open_ or (open_ is None and by_hand and not json):
            import webbrowser

            webbrowser.open(url)

    serve(socket, model, Path("runs"), ready)


def offer(folder: Path, screen: Any) -> None:
    """What ``glaswerk run`` ends with on a terminal: the lab, open on the run."""
    from glaswerk.serve.server import free_socket, serve

    socket = free_socket(8010)
    url = f"http://127.0.0.1:{socket.getsockname()[1]}/"

    def ready() -> None:
        import webbrowser

        screen.print(f"the lab is at [bold]{url}[/bold]  [faint]Ctrl-C stops it[/faint]", soft_wrap=True)
        webbrowser.open(url)

    serve(socket, str(folder), folder.parent, ready)
