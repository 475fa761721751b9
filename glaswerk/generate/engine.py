"""Many texts at once, coming and going (continuous batching: Orca, Yu et al. 2022).

``step()`` is one round: let in who waits, read a bounded number of tokens (the newest token of every running text, and
of the prompts as much as fits beside them), sample, hand out. So a long prompt does not stop the others, and who is
done makes room at once. Keys and values lie in pages (``pages.py``); whose turn it is says ``schedule.py``. Where pages
run out, somebody is sent back to wait with all pages released, and later reads the text again.

Sampling, stop texts and streaming are those of ``decoding.py``: every request is one of its rows. The forward pass is
the decoder's own. No threads and no clock: a server calls ``step`` and hands on what comes. Each request may choose
one of the model's LoRA adapters; a pass serves several (``lora.each_its_own``).

Where all matrices are quantized, a round is one pass over all its tokens, and pages are read where they lie
(``inplace.py``). Elsewhere texts of like length lie side by side, padded, in as many passes as waste little.

Usually the last bits of a logit depend on the company, and where two tokens are as good as equal so may the choice.
With ``invariant=True`` the same request has bitwise the same logits whatever else runs. For quantized models that costs
next to nothing. For others, and for texts with an adapter, each text is then computed by itself, in pieces that depend
only on the text: whole pages of the prompt, then one token at a time, also when it is read again; it costs what
batching gains.

Left out: speculative decoding, several GPUs.

Shapes: B batch, T time, C width, N texts that get a token, V vocabulary.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import groupby

import torch
from torch import Tensor

from glaswerk.errors import GlaswerkError
from glaswerk.generate.constrain import grammar
from glaswerk.generate.decoding import Piece, Row, end_set, seen_tokens
from glaswerk.generate.inplace import Passes, fits
from glaswerk.generate.pages import Paged, Pages, Store, page_name
from glaswerk.generate.program import KEPT_AS
from glaswerk.generate.sampling import SamplingOptions, choose, penalize_repetition
from glaswerk.generate.schedule import FairQueue
from glaswerk.model import lora
from glaswerk.model.decoder import Decoder
from glaswerk.tokenizer.interface import Tokenizer

#: tokens in a page, unless told
PAGE = 16
#: texts that run at once, tokens that a round reads, bytes of all pages: unless told
ROWS, ROUND, MEMORY = 32, 512, 1 << 30


@dataclass(eq=False, slots=True)
class Request:
    """One text in the making. Read it as you like, change nothing; its tokens so far are ``row.ids``."""

    key: str
    options: SamplingOptions
    row: Row
    arrival: int
    #: the name that the page before the first would have
    salt: bytes
    #: which LoRA adapter answers, alone; None: the model as it is
    adapter: str | None = None
    #: "waiting", "running" or "finished"
    state: str = "waiting"
    #: as in :class:`Piece`, and "error" (then ``error`` says which) or "cancelled"
    finish_reason: str | None = None
    error: GlaswerkError | None = None
    #: what the newest token was chosen from, ``[V]``, before all sampling options
    logits: Tensor | None = None
    #: tokens that were not computed because a page had them, and how often it had to start again
    shared_tokens: int = 0
    preemptions: int = 0
    #: its pages, and how many tokens they hold
    pages: list[int] = field(default_factory=list)
    read: int = 0
    #: how many tokens were paid for, and whether one was sampled since it was let in
    charged: int = 0
    moved: bool = False
    seen_1V: Tensor | None = None
    _names: list[bytes] = field(default_factory=list)

    @property
    def length(self) -> int:
        """Tokens so far, of prompt and reply."""
        return len(self.row.prompt) + len(self.row.ids)

    def tokens(self, start: int, end: int) -> list[int]:
        """Some of them."""
        prompt = self.row.prompt
        replied = self.row.ids[max(0, start - len(prompt)) : max(0, end - len(prompt))]
        return [*prompt[start:end], *replied]

    def name(self, page: int, size: int) -> bytes:
        """The name of the text's page of that place, which must be full."""
        while len(self._names) <= page:
            place = len(self._names)
            before = self._names[-1] if self._names else self.salt
            self._names.append(page_name(before, self.tokens(place * size, (place + 1) * size)))
        return self._names[page]


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a text that one pass reads."""

    request: Request
    start: int
    count: int


@dataclass(slots=True)
class Counts:
    """What was done since the engine is there."""

    rounds: int = 0
    passes: int = 0
    #: tokens read by the model, and tokens of texts that a page had already
    computed_tokens: int = 0
    shared_tokens: int = 0
    sampled_tokens: int = 0
    preemptions: int = 0


class Engine:
    """Serves one model. ``pages`` of ``page`` tokens each are set aside at once (default: room for ``rows`` whole
    contexts, but at most ``memory`` bytes); at most ``rows`` texts run at a time; a round reads about ``round_tokens``.
    ``share`` lets texts of one key share pages.

    The weights must not change meanwhile: pages remember what they computed.
    """

    def __init__(
        self,
        model: Decoder,
        tokenizer: Tokenizer,
        *,
        pages: int | None = None,
        memory: int = MEMORY,
        page: int = PAGE,
        rows: int = ROWS,
        round_tokens: int = ROUND,
        share: bool = True,
        invariant: bool = False,
    ) -> None:
        if min(page, rows, round_tokens) < 1 or (pages is not None and pages < 1):
            raise GlaswerkError("pages, page, rows and round_tokens must be at least 1")
        config, in_place = model.config, fits(model, page)
        dtype = KEPT_AS if in_place else model.compute_dtype or model.embedding.dtype
        if pages is None:
            each = 2 * config.layers * page * config.kv_heads * config.head_width * dtype.itemsize
            pages = max(1, min(rows * -(-config.context // page), memory // each))
        self.model, self.tokenizer = model, tokenizer
        self.rows, self.round_tokens, self.share, self.invariant = rows, round_tokens, share, invariant
        self.pages = Pages(pages, page)
        self.store = Store(config, pages, page, dtype, model.embedding.device)
        self.passes = Passes(model, self.store) if in_place else None
        self.adapters, self.fused = frozenset(lora.adapters(model)), lora.fused_once(model)
        self.queue: FairQueue[Request] = FairQueue()
        self.running: list[Request] = []
        self.counts = Counts()
        # ids that the tokenizer has no text for (a padded vocabulary) are never chosen
        self.known = min(config.vocabulary_size, tokenizer.vocabulary_size)
        self._arrivals = 0
        self._secret = os.urandom(32)
        # what a round has decided; where it breaks off in the middle (no memory), the next one hands it out
        self._pieces: list[tuple[Request, Piece]] = []

    # ------------------------------------------------------------------ for the server
    def submit(
        self,
        prompt_ids: Sequence[int],
        options: SamplingOptions,
        *,
        key: str = "",
        end_ids: Collection[int] | None = None,
        adapter: str | None = None,
    ) -> Request:
        """Queue a prompt. ``key`` says whose it is: keys take turns, and never share pages. ``end_ids`` as in
        ``stream``. ``adapter``: the LoRA adapter that answers, alone; None: the model as it is.

        Raises :class:`GlaswerkError` where the prompt is empty or leaves no room in the context, where the text could
        outgrow all pages there are, and where there is no such adapter.
        """
        if adapter is not None and adapter not in self.adapters:
            there = ", ".join(sorted(self.adapters)) or "none"
            raise GlaswerkError(f"there is no adapter {adapter!r}: there are {there}")
        ends = end_set(self.tokenizer, end_ids)
        row = Row(self.model, self.tokenizer, list(prompt_ids), options, ends, 0, grammar(self.tokenizer, options))
        most = len(row.prompt) + row.limit - 1  # the last token is never read
        if self.pages_for(most) > self.pages.count:
            raise GlaswerkError(
                f"prompt and reply may need {most:,} tokens and the engine holds "
                f"{self.pages.count * self.pages.size:,}: shorten the prompt or lower max_tokens"
            )
        whose = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        salt = hashlib.sha256(self._secret + whose + (adapter or "").encode()).digest()
        request = Request(key, options, row, self._arrivals, salt, adapter)
        if options.repetition_penalty != 1:
            request.seen_1V = seen_tokens([row], self.known, self.never_seen(request))
        self._arrivals += 1
        self.queue.enter(request)
        return request

    def cancel(self, request: Request) -> None:
        """Nobody wants it any more: its pages are free at once and no piece of it comes. Does nothing where it is
        finished already."""
        self._pieces = [(other, piece) for other, piece in self._pieces if other is not request]
        if request.state != "finished":
            self._finish(request, "cancelled")

    @property
    def busy(self) -> bool:
        """Whether a step has anything to do."""
        return bool(self.running or self._pieces) or len(self.queue) > 0

    @torch.inference_mode()
    def step(self) -> list[tuple[Request, Piece]]:
        """One round; what it decided, at most one piece for each request (none where prompts are still read). A
        request that fails by itself (logits that are no numbers) ends with a piece of the ``finish_reason`` "error" and
        the id -1; the others go on.
        """
        training = self.model.training
        if training:  # telling every layer takes as long as a tenth of a round
            self.model.eval()
        try:
            self._grow()  # first: who is here comes before who waits
            self._let_in()
            for group in self._groups(self._plan()):
                self._pieces += self._read(group)
            self.counts.rounds += 1
            pieces, self._pieces = self._pieces, []
            return pieces
        finally:
            if training:
                self.model.train()

    # ------------------------------------------------------------------ who runs
    def _let_in(self) -> None:
        """Start those whose turn it is, as long as there is room. Who is first and does not fit holds up the others:
        it would never fit if smaller ones always came before."""
        while (request := self.queue.first()) is not None:
            if len(self.running) >= self.rows and not self._make_room(request, 1, self.rows, lambda other: 1):
                return
            for place in range(self._sharable(request)):
                page = self.pages.share(request.name(place, self.pages.size))
                if page is None:
                    break
                request.pages.append(page)
            shared = len(request.pages)
            need = self.pages_for(request.length) - shared
            while self.pages.available < need:
                if not self._make_room(request, need, self.pages.count, lambda other: len(other.pages)):
                    self.pages.release(request.pages)
                    request.pages.clear()
                    return
            for _ in range(need):
                request.pages.append(self._page())
            request.read = shared * self.pages.size
            self._count_shared(request, request.read)
            request.state, request.moved = "running", False
            self.queue.take(request)
            self.running.append(request)

    def _make_room(self, request: Request, need: int, total: int, size: Callable[[Request], int]) -> bool:
        """Send back one request of a key that holds more than its equal share of ``total``, if ``request`` stays within
        its own share with ``need`` more. Whoever sampled no token since it was let in stays: each turn must bring
        something, or two could take turns for ever."""
        share = max(1, total // len(self.queue.here))
        held: dict[str, int] = {}
        for other in self.running:
            held[other.key] = held.get(other.key, 0) + size(other)
        if held.get(request.key, 0) + need > share:
            return False
        victims = [other for other in self.running if other.moved and held[other.key] > share]
        if not victims:
            return False
        self._preempt(max(victims, key=lambda other: (held[other.key], other.arrival)))
        return True

    def _grow(self) -> None:
        """A page for everyone whose next token needs one. Where there is none, whoever came last of the key that holds
        the most is sent back, which may be the one who asks."""
        for request in sorted(self.running, key=self.queue.order):
            while request.state == "running" and self.pages_for(request.length) > len(request.pages):
                if self.pages.available:
                    request.pages.append(self._page())
                    continue
                held: dict[str, int] = {}
                for other in self.running:
                    held[other.key] = held.get(other.key, 0) + len(other.pages)
                self._preempt(max(self.running, key=lambda other: (held[other.key], other.arrival)))

    def _preempt(self, request: Request) -> None:
        """Back into the queue, without pages; what it sampled stays its own and is read again later."""
        self.running.remove(request)
        self._drop_pages(request)
        request.state = "waiting"
        request.preemptions += 1
        self.counts.preemptions += 1
        self.queue.put(request)

    def _finish(self, request: Request, reason: str) -> None:
        """It is over, however."""
        if request.state == "running":
            self.running.remove(request)
        else:
            self.queue.take(request)
        self._drop_pages(request)
        request.state, request.finish_reason = "finished", reason
        self.queue.leave(request)

    def _drop_pages(self, request: Request) -> None:
        self.pages.release(request.pages)
        request.pages.clear()
        request.read = 0

    def _page(self) -> int:
        page = self.pages.take()
        assert page is not None, "the caller has looked"
        return page

    def pages_for(self, tokens: int) -> int:
        """Pages that hold so many tokens."""
        return -(-tokens // self.pages.size)

    # ------------------------------------------------------------------ what is read
    def _plan(self) -> list[Part]:
        """Everyone's newest token, then prompts in the order of whose turn it is.

        Prompts are cut at the borders of pages only. Two that begin alike are not both computed: the second waits for
        this round's pages.
        """
        size = self.pages.size
        parts = [Part(one, one.read, 1) for one in self.running if one.length - one.read == 1]
        budget = max(size, self.round_tokens - len(parts))
        promised: set[bytes] = set()
        for one in sorted(self.running, key=self.queue.order):
            if one.length - one.read == 1:
                continue
            if budget <= 0:
                break
            self._share_late(one)
            end = min(one.length, (one.read + max(budget, size)) // size * size)
            if one.length - one.read <= budget:
                end = one.length
            places = range(one.read // size, min(end // size, self._sharable(one)))
            names = [one.name(place, size) for place in places]
            if names and names[0] in promised:
                continue
            promised.update(names)
            parts.append(Part(one, one.read, end - one.read))
            budget -= end - one.read
        return parts

    def _sharable(self, request: Request) -> int:
        """How many of the request's first pages may be somebody else's: full ones that leave at least one token to
        read. Where every bit counts only those of the prompt, as a reply's tokens are computed in another way."""
        if not self.share:
            return 0
        most = (request.length - 1) // self.pages.size
        return min(most, len(request.row.prompt) // self.pages.size) if self.invariant else most

    def _share_late(self, request: Request) -> None:
        """Take pages that somebody has computed since the request was let in, instead of computing them again."""
        size = self.pages.size
        for place in range(request.read // size, self._sharable(request)):
            page = self.pages.share(request.name(place, size))
            if page is None:
                return
            self.pages.release([request.pages[place]])
            request.pages[place] = page
            self._count_shared(request, (place + 1) * size - request.read)
            request.read = (place + 1) * size

    def _count_shared(self, request: Request, tokens: int) -> None:
        request.shared_tokens += tokens
        self.counts.shared_tokens += tokens

    def _groups(self, parts: list[Part]) -> Iterable[list[Part]]:
        """What is read in one pass: where nothing is padded all of it, else parts of like length, so that at most half
        of a pass is padding, or where every bit counts each part alone, cut as it would always be cut."""
        if self.passes is not None and not self.invariant:
            return [parts] if parts else []
        if self.invariant:
            # products with whole numbers do not depend on their company, those of fp32 adapters do
            many = [part for part in parts if self.passes is not None and part.request.adapter is None]
            single = [[piece] for part in parts if part not in many for piece in self._cuts(part)]
            return [many, *single] if many else single
        groups: list[list[Part]] = []
        real = 0
        for part in sorted(parts, key=lambda part: -part.count):
            if groups and (len(groups[-1]) + 1) * groups[-1][0].count <= 2 * (real + part.count):
                groups[-1].append(part)
                real += part.count
            else:
                groups.append([part])
                real = part.count
        return groups

    def _cuts(self, part: Part) -> Iterable[Part]:
        """A part cut at the borders of pages inside the prompt, and after every token behind it."""
        start, end, prompt = part.start, part.start + part.count, len(part.request.row.prompt)
        while start < end:
            border = start + 1 if start >= prompt else min(prompt, (start // self.pages.size + 1) * self.pages.size)
            yield Part(part.request, start, border - start)
            start = border

    def _read(self, parts: list[Part]) -> list[tuple[Request, Piece]]:
        """One pass of the model. Those whose text it has read to the end get their next token."""
        parts = sorted(parts, key=lambda part: (part.request.adapter or "", part.request.pages))
        x_NC = self._ends_padded(parts) if self.passes is None else self._ends_in_place(self.passes, parts)
        self.counts.passes += 1
        for part in parts:
            self._was_read(part)
        ready = [place for place, part in enumerate(parts) if part.request.read == part.request.length]
        if not ready:
            return []
        if len(ready) < len(parts):
            x_NC = x_NC[torch.tensor(ready, device=x_NC.device)]
        if self.invariant and self.passes is not None and len(ready) == 1:
            x_NC = x_NC.expand(2, -1)  # as in company
        logits_NV = self.model.head(x_NC)[: len(ready), : self.known].float()
        return self._sample([parts[place].request for place in ready], logits_NV)

    def _ends_in_place(self, passes: Passes, parts: list[Part]) -> Tensor:
        """The hidden vector of each part's last token, ``[N, C]``; all tokens side by side."""
        starts, counts = [part.start for part in parts], [part.count for part in parts]
        ids = [number for part in parts for number in part.request.tokens(part.start, part.start + part.count)]
        adapted = any(part.request.adapter is not None for part in parts)
        lengths = [2] if self.invariant and len(ids) == 1 else counts  # then it is its own company
        with self._adapters(parts, lengths, 1) if adapted else nullcontext():
            x_NC = passes.read(ids, [part.request.pages for part in parts], starts, counts, not adapted, self.invariant)
        return x_NC if len(ids) == len(parts) else x_NC[torch.tensor(counts).cumsum(0) - 1]

    def _ends_padded(self, parts: list[Part]) -> Tensor:
        """The same; the parts lie one above the other."""
        starts, counts = [part.start for part in parts], [part.count for part in parts]
        device = self.model.embedding.device
        ids_BT = torch.zeros(len(parts), max(counts), dtype=torch.long)
        for place, part in enumerate(parts):
            ids_BT[place, : part.count] = torch.tensor(part.request.tokens(part.start, part.start + part.count))
        cache = Paged(self.store, [part.request.pages for part in parts], starts, counts)
        adapted = any(part.request.adapter is not None for part in parts)
        with self._adapters(parts, [1] * len(parts), 0) if adapted else nullcontext():
            x_BTC = self.model.hidden(ids_BT.to(device), cache=cache, positions=cache.positions_BT, mask=cache.mask_BTS)
        last = torch.tensor(counts, device=device) - 1
        return x_BTC[torch.arange(len(parts), device=device), last]

    def _adapters(self, parts: list[Part], lengths: list[int], axis: int) -> AbstractContextManager[None]:
        """Each part with its own adapter; neighbours with the same are taken together."""
        found, end = [], 0
        together = zip(parts, lengths, strict=True)
        for adapter, some in groupby(together, key=lambda pair: pair[0].request.adapter):
            begin, end = end, end + sum(length for _, length in some)
            found.append(lora.Part(adapter, begin, end))
        return lora.each_its_own(found, axis, self.fused)

    def _was_read(self, part: Part) -> None:
        """The part is in its pages: full ones get their names, and the key pays for what is new."""
        request, size, end = part.request, self.pages.size, part.start + part.count
        request.read = end
        self.counts.computed_tokens += part.count
        self.queue.charge(request.key, max(0, end - max(request.charged, part.start)))
        request.charged = max(request.charged, end)
        if self.share:
            full = min(end, len(request.row.prompt)) if self.invariant else end
            for place in range(part.start // size, full // size):
                self.pages.name(request.pages[place], request.name(place, size))

    # ------------------------------------------------------------------ what comes next
    def _sample(self, requests: list[Request], logits_NV: Tensor) -> list[tuple[Request, Piece]]:
        """The next tokens, chosen as ``decoding.steps`` chooses them: one call for all that are sampled alike."""
        alike: dict[tuple[float, int | None, float, float], list[int]] = {}
        numbers: dict[int, int | GlaswerkError] = {}
        changed: dict[int, Tensor] = {}
        for place, request in enumerate(requests):
            request.logits = logits_NV[place]
            try:
                self._change(request, place, changed)
            except GlaswerkError as error:
                numbers[place] = error
                continue
            options = request.options
            how = (options.temperature, options.top_k, options.top_p, options.min_p)
            alike.setdefault(how, []).append(place)
        for places in alike.values():
            if changed or len(places) < len(requests):
                some_NV = torch.stack([changed.get(place, logits_NV[place]) for place in places])
            else:
                some_NV = logits_NV
            numbers.update(zip(places, self._chosen([requests[place] for place in places], some_NV), strict=True))
        return [self._take(request, numbers[place]) for place, request in enumerate(requests)]

    def _change(self, request: Request, place: int, changed: dict[int, Tensor]) -> None:
        """Put the logits into ``changed`` where the request's options change them."""
        logits_V = request.logits
        assert logits_V is not None
        if request.row.matcher is not None or request.options.shifts:
            changed[place] = logits_V = request.row.constrain(logits_V)
        if request.seen_1V is not None:
            seen_1V = request.seen_1V.to(logits_V.device)
            changed[place] = penalize_repetition(logits_V[None], seen_1V, request.options.repetition_penalty)[0]

    def _chosen(self, requests: list[Request], logits_NV: Tensor) -> list[int | GlaswerkError]:
        """A token for each of some requests that are sampled alike; who has logits that are no numbers fails alone."""
        generators = [request.row.generator for request in requests]
        options = requests[0].options
        try:
            return list(choose(logits_NV, options, generators))
        except GlaswerkError as error:
            if len(requests) == 1:
                return [error]
        return [self._chosen([one], logits_NV[place : place + 1])[0] for place, one in enumerate(requests)]

    def _take(self, request: Request, number: int | GlaswerkError) -> tuple[Request, Piece]:
        """The request has its next token, or an error."""
        row = request.row
        try:
            if isinstance(number, GlaswerkError):
                raise number
            piece = row.take(number)
        except GlaswerkError as error:
            request.error = error
            self._finish(request, "error")
            return request, Piece(row.writer.flush(), -1, "error")
        self.counts.sampled_tokens += 1
        request.moved = True
        if request.seen_1V is not None and number not in self.never_seen(request):
            request.seen_1V[0, number] = True
        if piece.finish_reason:
            self._finish(request, piece.finish_reason)
        return request, piece

    def never_seen(self, request: Request) -> list[int]:
        """What ends a text is not penalized for having been seen: ending must stay possible."""
        return [number for number in request.row.ends if number < self.known]
