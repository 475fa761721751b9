"""``glaswerk serve MODEL``: the OpenAI-compatible API and a small chat page."""

from __future__ import annotations

from pathlib import Path

import typer

app = typer.Typer(add_completion=False)


@app.command()
def serve(
    model: str = typer.Argument(help="A run, a stage, a Hugging Face folder, a GGUF file, or a pulled name."),
    adapters: list[str] | None = typer.Argument(
        None, help="LoRA adapters of it, which a request chooses by name: stages trained with --lora, PEFT folders."
    ),
    host: str | None = typer.Option(None, help="Where to listen: 127.0.0.1 (this machine only) unless told."),
    port: int | None = typer.Option(None, help="8000 unless told."),
    api_key: list[str] = typer.Option(
        [], help="Who may ask; may be given more than once. GLASWERK_API_KEYS too. Without any, one is drawn."
    ),
    config: Path | None = typer.Option(None, help="A TOML file with everything else: queue, limits, https, memory."),
    json: bool = typer.Option(False, "--json", help="One JSON object on stdout as soon as it answers."),
) -> None:
    """Answer the OpenAI API over HTTP with one model and its LoRA adapters, many requests at once. Ctrl-C stops it."""
    from dataclasses import replace

    from glaswerk.cli.opening import open_model
    from glaswerk.cli.terminal import console, print_json
    from glaswerk.found import find, find_adapters
    from glaswerk.serve.api import settings as reading
    from glaswerk.serve.server import open_socket

    settings = reading.read(config, {"host": host, "port": port, "keys": tuple(api_key) or None})
    drawn = not settings.keys
    if drawn:
        from glaswerk.serve.api.keys import draw

        settings = replace(settings, keys=(draw(),))
    origins = find_adapters(find(model), adapters or ())
    socket = open_socket(settings.port, settings.host)
    opened = open_model(model, settings.dtype)

    from glaswerk.serve.api.models import with_adapters

    models = with_adapters(opened, origins)
    scheme = "https" if settings.tls_cert else "http"
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"{scheme}://{shown}:{socket.getsockname()[1]}"

    def ready() -> None:
        if json:
            told = {"url": f"{url}/v1", "model": opened.origin.name, "adapters": [one.name for one in origins]}
            print_json({**told, **({"key": settings.keys[0]} if drawn else {})})
            return
        screen = console(stderr=True)
        if drawn:
            screen.print(f"a key for this time: [bold]{settings.keys[0]}[/bold]", soft_wrap=True)
        page = f"{url}/#key={settings.keys[0]}" if drawn else f"{url}/"
        names = ", ".join(models.named)
        screen.print(f"{names} {'answer' if origins else 'answers'} at [bold]{url}/v1[/bold]", soft_wrap=True)
        screen.print(f"talk to it: [bold]{page}[/bold]  [faint]Ctrl-C stops it[/faint]", soft_wrap=True)

    from glaswerk.serve.api.logs import to_stderr
    from glaswerk.serve.api.server import serve as answer

    to_stderr()
    answer(socket, models, settings, ready)
