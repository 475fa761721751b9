"""``glaswerk serve MODEL``: the OpenAI-compatible API and a small chat page."""

from __future__ import annotations

from pathlib import Path

import typer

app = typer.Typer(add_completion=False)


@app.command()
def serve(
    model: str = typer.Argument(help="A run, a stage, a Hugging Face folder, a GGUF file, or a pulled name."),
    host: str | None = typer.Option(None, help="Where to listen: 127.0.0.1 (this machine only) unless told."),
    port: int | None = typer.Option(None, help="8000 unless told."),
    api_key: list[str] = typer.Option(
        [], help="Who may ask; may be given more than once. GLASWERK_API_KEYS too. Without any, one is drawn."
    ),
    config: Path | None = typer.Option(None, help="A TOML file with everything else: queue, limits, https, memory."),
    json: bool = typer.Option(False, "--json", help="One JSON object on stdout as soon as it answers."),
) -> None:
    """Answer the OpenAI API over HTTP with one model, many requests at once. Ctrl-C stops it."""
    from dataclasses import replace

    from glaswerk.cli.opening import open_model
    from glaswerk.cli.terminal import console, print_json
    from glaswerk.found import find
    from glaswerk.serve.api import settings as reading
    from glaswerk.serve.server import open_socket

    settings = reading.read(config, {"host": host, "port": port, "keys": tuple(api_key) or None})
    drawn = not settings.keys
    if drawn:
        from glaswerk.serve.api.keys import draw

        settings = replace(settings, keys=(draw(),))
    find(model)
    socket = open_socket(settings.port, settings.host)
    opened = open_model(model, settings.dtype)
    scheme = "https" if settings.tls_cert else "http"
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"{scheme}://{shown}:{socket.getsockname()[1]}"

    def ready() -> None:
        if json:
            print_json(
                {"url": f"{url}/v1", "model": opened.origin.name, **({"key": settings.keys[0]} if drawn else {})}
            )
            return
        screen = console(stderr=True)
        if drawn:
            screen.print(f"a key for this time: [bold]{settings.keys[0]}[/bold]", soft_wrap=True)
        page = f"{url}/#key={settings.keys[0]}" if drawn else f"{url}/"
        screen.print(f"{opened.origin.name} answers at [bold]{url}/v1[/bold]", soft_wrap=True)
        screen.print(f"talk to it: [bold]{page}[/bold]  [faint]Ctrl-C stops it[/faint]", soft_wrap=True)

    from glaswerk.serve.api.logs import to_stderr
    from glaswerk.serve.api.server import serve as answer

    to_stderr()
    answer(socket, opened, settings, ready)
