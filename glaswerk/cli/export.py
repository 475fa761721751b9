"""``glaswerk export MODEL DIR --to ...``: a model for other tools, or the course around it as pages or notebooks."""

from __future__ import annotations

from pathlib import Path

import typer

app = typer.Typer(add_completion=False)


@app.command()
def export(
    model: str = typer.Argument(help="A run, a stage, a Hugging Face folder, a GGUF file, or a pulled name."),
    folder: Path = typer.Argument(help="Where the files go.", metavar="DIR"),
    to: str = typer.Option(
        help="hf: a Hugging Face folder; gguf: for llama.cpp; site or notebooks: the course around the model."
    ),
    dtype: str = typer.Option("auto", help="For gguf: f16 (auto), q8_0 or q4_0; for hf: fp32 (auto) or bf16."),
    json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """Write a model for other tools (hf, gguf), or the whole course around it as web pages or Jupyter notebooks."""
    from glaswerk.cli.terminal import console, print_json
    from glaswerk.found import find

    find(model)  # a mistyped model is said before torch is loaded
    if to == "site":
        export_site(model, folder, dtype, json)
        return
    if to == "notebooks":
        export_notebooks(model, folder, dtype, json)
        return
    from glaswerk.export import export as write

    made = write(model, to, folder, dtype)
    size = sum(file.stat().st_size for file in ([made] if made.is_file() else made.glob("*.safetensors")))
    if json:
        print_json({"path": str(made), "to": to, "bytes": size})
        return
    screen = console()
    screen.print(f"{made}  [faint]{size / 1e6:,.1f} MB[/faint]", soft_wrap=True)
    screen.print(f"Next: [bold]glaswerk generate {made} 'Once upon a time'[/bold]", soft_wrap=True)


def export_site(model: str, folder: Path, dtype: str, json: bool) -> None:
    """The course as a folder of web pages."""
    from glaswerk.cli.terminal import TerminalProgress, console, print_json
    from glaswerk.errors import GlaswerkError
    from glaswerk.serve.site import write_site

    if dtype != "auto":
        raise GlaswerkError("--dtype is for hf and gguf; a site takes the model as it is")
    progress = TerminalProgress()
    try:
        made = write_site(model, folder, progress)
    finally:
        progress.close()
    if json:
        told = {"path": str(folder), "to": "site", "bytes": made.bytes, "pages": made.pages, "answers": made.answers}
        print_json({**told, "in_browser": not made.why_not})
        return
    screen = console()
    lives = f"the model runs in the page, in {made.numbers}"
    if made.why_not:
        lives = f"the model does not run in the page: {made.why_not}"
    screen.print(f"{folder}  [faint]{made.bytes / 1e6:,.1f} MB, {made.pages} pages; {lives}[/faint]", soft_wrap=True)
    if made.left_out:
        screen.print(f"[faint]{made.left_out:,} answers to controls did not fit and were left out[/faint]")
    screen.print(f"Next: [bold]python -m http.server -d {folder}[/bold], or put it on any static host", soft_wrap=True)


def export_notebooks(model: str, folder: Path, dtype: str, json: bool) -> None:
    """The chapters as Jupyter notebooks, the model beside them."""
    from glaswerk.cli.terminal import console, print_json
    from glaswerk.course.notebook import write_notebooks
    from glaswerk.errors import GlaswerkError
    from glaswerk.found import find
    from glaswerk.serve.questions import by_kind

    if dtype != "auto":
        raise GlaswerkError("--dtype is for hf and gguf; notebooks take the model as it is")
    name = find(model).pulled
    if name is None:  # one that only this machine has goes with them
        from glaswerk.export import export as write

        write(model, "hf", folder / "model")
        name = "model"
    made = write_notebooks(folder, name, by_kind())
    if json:
        print_json({"path": str(folder), "to": "notebooks", "notebooks": len(made), "model": name})
        return
    screen = console()
    screen.print(f"{folder}  [faint]{len(made)} notebooks, which open {name}[/faint]", soft_wrap=True)
    screen.print(f"Next: [bold]jupyter lab {folder}[/bold]", soft_wrap=True)
