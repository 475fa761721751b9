"""``glaswerk export MODEL DIR --to gguf``: a model for other tools, with its tokenizer and a card."""

from __future__ import annotations

from pathlib import Path

import typer

app = typer.Typer(add_completion=False)


@app.command()
def export(
    model: str = typer.Argument(help="A run, a stage, a Hugging Face folder, a GGUF file, or a pulled name."),
    folder: Path = typer.Argument(help="Where the files go.", metavar="DIR"),
    to: str = typer.Option(help="hf: a Hugging Face folder; gguf: one file for llama.cpp and its kin."),
    dtype: str = typer.Option("auto", help="For gguf: f16 (auto), q8_0 or q4_0; for hf: fp32 (auto) or bf16."),
    json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """Write a model for other tools: a Hugging Face folder or a GGUF file, with tokenizer and card."""
    from glaswerk.cli.terminal import console, print_json
    from glaswerk.export import export as write

    made = write(model, to, folder, dtype)
    size = sum(file.stat().st_size for file in ([made] if made.is_file() else made.glob("*.safetensors")))
    if json:
        print_json({"path": str(made), "to": to, "bytes": size})
        return
    screen = console()
    screen.print(f"{made}  [faint]{size / 1e6:,.1f} MB[/faint]", soft_wrap=True)
    screen.print(f"Next: [bold]glaswerk generate {made} 'Once upon a time'[/bold]", soft_wrap=True)
