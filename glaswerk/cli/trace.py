"""``glaswerk trace MODEL PROMPT``: every value that a prompt causes, from the token ids to the next token.

On the terminal: the tokens, how the residual stream grows, one head's attention, the likeliest next tokens.
Everything, number by number: ``--json``. Left out: what the steps mean and how they are found
(``glaswerk/lens``).
"""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text
    from torch import Tensor

    from glaswerk.lens import Trace

app = typer.Typer(add_completion=False)

#: heat maps fade from this ground (STYLE's night) to the concept's colour
GROUND = "#14161b"
#: what stands left and right of a heat map takes this much of the screen
BESIDE_MAP = 40
#: a heat map shows at most this many tokens, the last ones
MOST_ROWS = 32
BARS = "▁▂▃▄▅▆▇█"
SHADES = " ░▒▓█"


@app.command()
def trace(
    model: str = typer.Argument(help="A run, a stage, a Hugging Face folder, a GGUF file, or a pulled name."),
    prompt: str = typer.Argument(help="The text to follow; - reads it from standard input."),
    only: str | None = typer.Option(
        None, help="These steps, as a table: globs like 'blocks.3.*,logits'. With --json: and all their values."
    ),
    compact: bool = typer.Option(
        False, "--compact", help="With --only and --json: weights and probabilities as bytes."
    ),
    layer: int | None = typer.Option(None, help="Show the attention of this layer, from 0."),
    head: int | None = typer.Option(None, help="Show the attention of this head, from 0."),
    dtype: str = typer.Option("auto", help="auto, fp32, bf16, int8 or int4; auto: a GGUF file as it is, else fp32."),
    json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """Follow a prompt through the model, step by step."""
    from glaswerk.cli.opening import open_model
    from glaswerk.cli.terminal import console, print_json

    if prompt == "-":
        prompt = sys.stdin.buffer.read().decode("utf-8", errors="replace")
    opened = open_model(model, dtype)
    began = time.perf_counter()
    traced = opened.trace(prompt)
    seconds = time.perf_counter() - began
    if json:
        print_json(traced.json(only, compact))
        return
    screen = console()
    if only is None:
        refuse_broken(traced)
        place, why = choose_head(traced, layer, head)
        show_title(screen, traced, seconds)
        show_tokens(screen, traced)
        show_stream(screen, traced)
        show_attention(screen, traced, place, why)
        show_candidates(screen, traced)
        wanted = f"--only 'blocks.{place[0]}.attention.*'"
        screen.print(f"\nNext: these steps one by one: the same with [bold]{wanted}[/bold]", soft_wrap=True)
    else:
        show_steps(screen, traced, only)
        screen.print("\nNext: all their numbers: the same with [bold]--json[/bold]")


def refuse_broken(traced: Trace) -> None:
    """Raise :class:`GlaswerkError` that names the first step where numbers stop being numbers; nothing of it can be
    drawn.
    """
    from glaswerk.errors import GlaswerkError

    if traced["logits"].isfinite().all():
        return
    first = next(step for step in traced if not step.value.isfinite().all())
    raise GlaswerkError(
        f"{traced.name}: infinite or undefined numbers from the step {first.name} on ({first.source}), so nothing can "
        "be drawn; the weights are damaged or too large; see them with --only"
    )


# ---------------------------------------------------------------------------------------------- which head
def choose_head(traced: Trace, layer: int | None, head: int | None) -> tuple[tuple[int, int], str]:
    """The layer and head to show, and why these. Raises :class:`GlaswerkError` where the model has no such one."""
    from glaswerk.errors import GlaswerkError

    for name, asked, count in (("layer", layer, traced.config.layers), ("head", head, traced.config.heads)):
        if asked is not None and not 0 <= asked < count:
            raise GlaswerkError(f"the model's {name}s go from 0 to {count - 1}; there is no {name} {asked}")
    if layer is not None and head is not None:
        return (layer, head), "the head you asked for: who looks where"
    layers = range(traced.config.layers) if layer is None else [layer]
    heads = range(traced.config.heads) if head is None else [head]
    focus = {(i, h): value for i in layers for h, value in enumerate(focus_of(traced, i)) if h in heads}
    best = max(focus, key=lambda place: focus[place])
    if len(traced.ids) < 3:
        return best, "with so few tokens no head stands out"
    where = {(True, True): "", (False, True): " of this layer", (True, False): " with this number"}
    return best, (
        f"the most focused head{where[layer is None, head is None]}: a token gives {focus[best]:.2f} of its attention "
        "to one earlier token, on average (not counting the first, where many heads rest)"
    )


def focus_of(traced: Trace, layer: int) -> list[float]:
    """For each head: how much of a token's attention goes to one single earlier token, the first not counted;
    the mean over all tokens that have such.
    """
    weights_HTS: Tensor = traced[f"blocks.{layer}.attention.weights"][0]
    if weights_HTS.shape[-1] < 3:
        return [0.0] * weights_HTS.shape[0]
    return weights_HTS.tril(-1)[:, 2:, 1:].amax(-1).mean(-1).tolist()


# ---------------------------------------------------------------------------------------------- the parts
def show_title(screen: Console, traced: Trace, seconds: float) -> None:
    """Which model, how large, how long it took."""
    told = traced.json(only="tokens")
    size = told["model"]
    screen.print(
        f"[bold]{traced.name}[/bold]  [faint]{size['family']}, {size['layers']} layers of {size['heads']} heads, "
        f"{size['width']} wide; {count(len(traced.ids), 'token')}, {len(traced):,} steps in {seconds:.2f} s[/faint]"
    )
    if "note" in told["precision"]:
        screen.print(f"[faint]{told['precision']['note']['en']}[/faint]")


def show_tokens(screen: Console, traced: Trace) -> None:
    """Each token as a chip over its id, wrapped to the screen."""
    from rich.text import Text

    heading(screen, "Tokens", "the text as the model reads it, each piece over its id")
    upper, lower = Text(), Text()
    for place, token in enumerate(traced.tokens):
        text = chip_text(token["text"], place, screen)
        width = max(text.cell_len, len(str(token["id"])))
        if upper.cell_len + width > screen.width and upper:
            screen.print(upper, lower, sep="\n")
            upper, lower = Text(), Text()
        upper.append_text(text).append(" " * (width - text.cell_len + 1))
        lower.append(f"{token['id']:<{width + 1}}", style="faint")
    screen.print(upper, lower, sep="\n")


def show_stream(screen: Console, traced: Trace) -> None:
    """Norms at the last token, a bar per layer on one scale: the stream, and what attention and MLP add to it."""
    from rich.table import Table

    rows = {
        title: [float(traced[f"blocks.{layer}.{part}"][0, -1].norm()) for layer in range(traced.config.layers)]
        for title, part in (("stream", "residual"), ("attention", "attention.output"), ("MLP", "mlp.output"))
    }
    start = float(traced["residual" if "residual" in traced else "embeddings"][0, -1].norm())
    low, high = (of(norm for norms in rows.values() for norm in norms) for of in (min, max))
    heading(screen, "Residual stream", "how long the last token's vector is after each layer, and what was added there")
    table = Table.grid(padding=(0, 2))
    for (title, norms), style in zip(rows.items(), ("residual", "weight", "mlp"), strict=True):
        most = max(range(len(norms)), key=lambda layer: norms[layer])
        facts = f"largest {figure(norms[most])}, layer {most}"
        if title == "stream":
            facts = f"{figure(start)} before, {figure(norms[-1])} after all"
        bars = sparkline(norms, low, high, max(8, screen.width - 46))
        table.add_row(f"[{style}]{title}[/{style}]", f"[{style}]{bars}[/{style}]", facts)
    screen.print(table)
    layers = f"layer 0 to {len(rows['stream']) - 1}"
    screen.print(f"[faint]{layers}; the scale is logarithmic, from ▁ {figure(low)} to █ {figure(high)}[/faint]")


def show_attention(screen: Console, traced: Trace, place: tuple[int, int], why: str) -> None:
    """One head's weights as a heat map: a row per token that looks, a column per token looked at."""
    from rich.text import Text

    layer, head = place
    weights_TS = traced[f"blocks.{layer}.attention.weights"][0, head]
    heading(screen, f"Attention, layer {layer}, head {head}", why)
    total = len(traced.ids)
    room = max(8, screen.width - BESIDE_MAP)
    shown = min(total, MOST_ROWS, room)
    cell, first = 2 if 2 * shown <= room else 1, total - shown
    if first:
        screen.print(f"[faint]the last {shown} of {total:,} tokens[/faint]")
    names = [f"{number} {token['text']}" for number, token in enumerate(traced.tokens)]
    width = min(16, max(cells(name) for name in names[first:]))
    screen.print(" " * width + f" [faint]{ruler(first, total, cell)}[/faint]", no_wrap=True, overflow="crop")
    for row in range(first, total):
        line = Text().append(fitted(names[row], width), style="token").append(" ")
        for column in range(first, total):
            if column <= row:
                line.append_text(heat(float(weights_TS[row, column]), cell, screen))
            else:
                line.append(" " * cell)
        strongest = int(weights_TS[row].argmax())
        line.append(f"  {float(weights_TS[row, strongest]):.2f}", style="weight")
        line.append(f" at {fitted(names[strongest], 16).rstrip()}", style="faint")
        screen.print(line, no_wrap=True, overflow="crop")
    scale = Text(" " * width + " ").append("weight 0 ", style="faint")
    for part in range(9):
        scale.append_text(heat(part / 8, 1, screen))
    screen.print(scale.append(" 1; a row's weights add up to 1", style="faint"))


def show_candidates(screen: Console, traced: Trace) -> None:
    """The likeliest next tokens, as bars."""
    from rich.table import Table
    from rich.text import Text

    heading(screen, "Next token", "the ten likeliest, by the model's own probabilities")
    table = Table.grid(padding=(0, 2))
    top = traced.top()
    room = max(8, min(40, screen.width - 40))
    largest = max((each["probability"] or 0.0 for each in top), default=0.0) or 1.0
    for place, each in enumerate(top):
        share = each["probability"] or 0.0
        filled = "█" * round(room * share / largest) or "▏"
        chip = chip_text(each["token"], place, screen)
        table.add_row(chip, Text(filled, style="logit"), Text(f"{share:.1%}", justify="right"), f"[faint]{each['id']}")
    screen.print(table)


def show_steps(screen: Console, traced: Trace, only: str) -> None:
    """Steps as a table; their meanings too, where there are few."""
    from rich.table import Table

    steps = [step.json() for step in traced.select(only)]
    wide = screen.width >= 120
    table = Table(box=None, pad_edge=False, header_style="faint")
    table.add_column("step", no_wrap=True)
    for name in ("shape", "min", "mean", "max", "norm"):
        table.add_column(name, justify="right", no_wrap=True)
    if wide:
        table.add_column("computed at", style="faint", no_wrap=True)
    for told in steps:
        figures = [figure(told["summary"][name]) for name in ("min", "mean", "max", "norm")]
        shape = "×".join(map(str, told["shape"]))
        table.add_row(told["name"], shape, *figures, *([told["source"]] if wide else []))
    screen.print(table)
    if len(steps) <= 16:
        meanings = Table.grid(padding=(0, 2))
        for told in steps:
            at = "" if wide else f" [faint]{told['source']}[/faint]"
            meanings.add_row(f"[bold]{told['name'].rsplit('.', 1)[-1]}[/bold]", told["meaning"]["en"] + at)
        screen.print()
        screen.print(meanings)


# ---------------------------------------------------------------------------------------------- drawing
def heading(screen: Console, title: str, line: str) -> None:
    """A part's title, and what one is looking at."""
    screen.print(f"\n[bold]{title}[/bold]")
    screen.print(f"[faint]{line}[/faint]")


def chip_text(text: str, place: int, screen: Console) -> Text:
    """A token's chip, in two shades that take turns; without colour, between bars."""
    from rich.text import Text

    from glaswerk.cli.tokenizer import CHIPS

    return Text().append(text, style=CHIPS[place % 2]) if screen.color_system else Text(f"|{text}|")


def ruler(first: int, last: int, cell: int) -> str:
    """The numbers of columns ``cell`` wide, each over its own; of many only every fifth."""
    line = [" "] * (cell * (last - first) + 8)
    every = 1 if last <= 10 and cell == 2 else 5
    for column in range(first, last):
        if column % every == 0:
            at = cell * (column - first)
            line[at : at + len(str(column))] = str(column)
    return "".join(line).rstrip()


def sparkline(values: list[float], low: float, high: float, room: int) -> str:
    """A bar per value on a logarithmic scale from ``low`` to ``high``; every n-th value only, where they do not fit."""
    low, high = max(low, 1e-12), max(high, 2e-12)
    values = values[:: -(-len(values) // room)]
    wide = 2 if 2 * len(values) <= room else 1
    shares = [math.log(max(value, low) / low) / math.log(high / low) if high > low else 1.0 for value in values]
    return "".join(BARS[min(7, int(8 * share))] * wide for share in shares)


def heat(weight: float, width: int, screen: Console) -> Text:
    """One cell: the ground at 0, the full colour at 1; in shades of grey where there are few colours."""
    from rich.text import Text

    from glaswerk.cli.terminal import CONCEPTS

    if screen.color_system in ("truecolor", "256"):
        return Text(" " * width, style=f"on {blend(GROUND, CONCEPTS['weight'], weight)}")
    return Text(SHADES[min(4, int(weight * 4 + 0.5))] * width, style="weight")


def blend(low: str, high: str, share: float) -> str:
    """A colour between two, ``#rrggbb``."""
    ends = [[int(colour[place : place + 2], 16) for place in (1, 3, 5)] for colour in (low, high)]
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(*ends, strict=True))


def fitted(text: str, width: int) -> str:
    """``text`` in exactly ``width`` cells of the screen, cut with … or filled up."""
    from rich.cells import cell_len, set_cell_size

    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def cells(text: str) -> int:
    """How wide a text is on the screen."""
    from rich.cells import cell_len

    return cell_len(text)


def figure(number: float | None) -> str:
    """Four digits of a number."""
    return "not finite" if number is None else f"{number:,.4g}"


def count(number: int, what: str) -> str:
    """``1 token``, ``2 tokens``."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
