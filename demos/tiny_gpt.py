"""A whole language model on one page: text -> tokens -> GPT -> training -> new text. Read from top to bottom.

    python demos/tiny_gpt.py               learns from Shakespeare's plays, a minute or two on two cores
    python demos/tiny_gpt.py book.txt      learns from your own text (20,000 characters or more)

GPT-2 (Radford et al. 2019), only smaller. Glaswerk's own decoder computes the same with the same weights
(tests/test_tiny_gpt.py). Left out: tokens longer than one character, saving, everything done for speed.
A name's ending tells its axes: B texts side by side, T places in a text, C width, H heads, D width of a head.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CONTEXT, WIDTH = 64, 128  # how many characters the model looks back; how many numbers describe one inside it
HEADS, LAYERS = 4, 4  # how many places a layer can look at at once; how many layers work one after another
BATCH, STEPS, RATE = 16, 1600, 2e-3  # pieces of text per step; steps of training; how far a step goes at most


class Attention(nn.Module):
    """Lets every place collect numbers from the places before it (Vaswani et al. 2017)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)  # makes a query, a key and a value of each place
        self.output = nn.Linear(width, width)  # mixes what the heads have found

    def forward(self, x_BTC: Tensor) -> Tensor:
        B, T, C = x_BTC.shape
        qkv_BTC = self.qkv(x_BTC).split(C, dim=2)  # what I look for, what I offer, what I hand over
        # each head works on its own slice of the width
        q_BHTD, k_BHTD, v_BHTD = (x.view(B, T, self.heads, -1).transpose(1, 2) for x in qkv_BTC)
        scores_BHTT = q_BHTD @ k_BHTD.transpose(2, 3) / math.sqrt(C // self.heads)  # how well q and k fit
        future_TT = torch.ones(T, T, dtype=torch.bool).triu(1)  # True above the diagonal: what is yet to come
        weights_BHTT = scores_BHTT.masked_fill(future_TT, -math.inf).softmax(dim=3)  # shares, 0 for the future
        found_BHTD = weights_BHTT @ v_BHTD  # the values, mixed in these shares
        return self.output(found_BHTD.transpose(1, 2).reshape(B, T, C))  # the heads side by side again


class Block(nn.Module):
    """One layer. It only ever ADDS to x, so x is a stream that every layer reads from and writes to."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)  # brings the numbers of each place to one scale
        self.attention = Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)  # neurons: each compares a place with its own pattern,
        self.down = nn.Linear(4 * width, width)  # and where it finds it, adds its own numbers

    def forward(self, x_BTC: Tensor) -> Tensor:
        x_BTC = x_BTC + self.attention(self.attention_norm(x_BTC))  # look around
        neurons = F.gelu(self.up(self.mlp_norm(x_BTC)), approximate="tanh")  # silent (about 0) if no match
        return x_BTC + self.down(neurons)  # work on what was found


class GPT(nn.Module):
    """Token numbers in; out, for each place, a score (a logit) for every token that could come next."""

    def __init__(self, vocabulary: int, context: int, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)  # a row of numbers for each token: what it is
        self.position = nn.Embedding(context, width)  # a row of numbers for each place: where it stands
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        for name, weight in self.named_parameters():  # before training: small random numbers,
            if weight.dim() == 2:  # smaller still for what writes into the stream, as all layers add up there
                writes = name.endswith(("output.weight", "down.weight"))
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * layers) if writes else 0.02)

    def forward(self, ids_BT: Tensor) -> Tensor:
        x_BTC = self.embedding(ids_BT) + self.position.weight[: ids_BT.shape[1]]  # what and where, added up
        for block in self.blocks:
            x_BTC = block(x_BTC)
        return self.norm(x_BTC) @ self.embedding.weight.T  # how well each place fits each token's own row


def loss_on(model: GPT, ids: Tensor) -> Tensor:
    """How surprised the model is by random pieces of a text: -ln p(true next character), on average."""
    starts = torch.randint(len(ids) - CONTEXT, (BATCH,)).tolist()
    inputs_BT = torch.stack([ids[start : start + CONTEXT] for start in starts])
    targets_BT = torch.stack([ids[start + 1 : start + 1 + CONTEXT] for start in starts])  # one character on
    return F.cross_entropy(model(inputs_BT).flatten(0, 1), targets_BT.flatten())  # logits -> p -> -ln p


def train(model: GPT, train_ids: Tensor, held_out_ids: Tensor, steps: int) -> None:
    """Nudge every weight a little, again and again, in the direction that makes the loss smaller."""
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.1)
    for step in range(steps + 1):
        if step % max(1, steps // 10) == 0:  # now and then: how good is it on text it never learns from?
            with torch.no_grad():
                loss = sum(loss_on(model, held_out_ids) for _ in range(10)) / 10
            print(f"step {step:5d}   loss {loss:.3f}", flush=True)
        for group in optimizer.param_groups:  # steps start small, grow for a while, then shrink to nothing
            group["lr"] = RATE * min((step + 1) / 50, 0.5 + 0.5 * math.cos(math.pi * step / steps))
        optimizer.zero_grad()  # forget the last gradient
        loss_on(model, train_ids).backward()  # gradient: how would the loss change if each weight grew?
        optimizer.step()  # move each weight a little against its gradient


@torch.no_grad()
def sample(model: GPT, ids: list[int], count: int, temperature: float = 0.5) -> list[int]:
    """Write on: ask for the next character's probabilities, draw one, append it, ask again."""
    for _ in range(count):
        logits_V = model(torch.tensor([ids[-CONTEXT:]]))[0, -1]  # at the last place, the one to continue
        probabilities_V = (logits_V / temperature).softmax(dim=0)  # below 1 favours what is likely anyway
        ids = [*ids, int(torch.multinomial(probabilities_V, 1))]
    return ids


def read_text(arguments: list[str]) -> str:
    """The file that was named, else Shakespeare's plays from Glaswerk's registry, without their markup."""
    if arguments:
        return Path(arguments[0]).read_text(encoding="utf-8")
    from glaswerk.pull import pull

    plays = [play.read_text(encoding="utf-8") for play in sorted(pull("shakespeare").rglob("*.md"))]
    return "".join(c for c in "\n".join(plays).replace("  \n", "\n") if c not in "*_#\\")


def main() -> None:
    try:
        text = read_text(sys.argv[1:])
        assert len(text) >= 20_000, "20,000 characters are needed"
    except Exception as problem:
        sys.exit(f"no text to learn from ({problem}); name a file: python demos/tiny_gpt.py book.txt")
    torch.manual_seed(1)  # the same dice each time, so the same model each time
    characters = sorted(set(text))  # the tokens: every character that occurs, numbered from 0
    number = {character: i for i, character in enumerate(characters)}
    ids = torch.tensor([number[character] for character in text])  # the text as numbers
    cut = len(ids) * 9 // 10  # the last tenth is held out: the model is measured on it, never trained on it
    model = GPT(len(characters), CONTEXT, WIDTH, HEADS, LAYERS)
    print(f"{len(characters)} kinds of character; guessing blindly is a loss of {math.log(len(characters)):.2f}")
    train(model, ids[:cut], ids[cut:], STEPS)
    print("\nwhat it writes now:\n\n" + "".join(characters[i] for i in sample(model, ids[:1].tolist(), 600)))


if __name__ == "__main__":
    main()
