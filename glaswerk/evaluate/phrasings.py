"""How people ask, in forms that no training may use: the held-out measures ask with these. ``{x}`` is the title."""

from __future__ import annotations

#: never trained on: the held-out measure asks with these
HELD_OUT = {
    "en": ("Please say something about {x}.", "I would like to know more about {x}."),
    "de": ("Sag bitte etwas über {x}.", "Ich möchte mehr über {x} wissen."),
}
