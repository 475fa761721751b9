"""The model browser's data: the open model's weights as a list, and one of them to look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glaswerk.course.demo import as_json, packed
from glaswerk.errors import GlaswerkError
from glaswerk.serve.holder import Holder


def weights(holder: Holder, _: Mapping[str, Any]) -> str:
    """All matrices and norms: name, part, layer, shape, how many numbers."""
    from glaswerk.lens.weights import pieces

    opened = holder.model()
    with holder.busy:
        listed = [
            {"name": each.name, "part": each.part, "layer": each.layer, "shape": each.shape, "numbers": each.numbers}
            for each in pieces(opened.model)
        ]
    return as_json({"model": holder.name, "layers": opened.model.config.layers, "pieces": listed})


def weight(holder: Holder, arguments: Mapping[str, Any]) -> str:
    """One of them (``name``, and ``layer`` inside the blocks): summary, histogram, picture."""
    from glaswerk.lens.weights import looked_at, piece

    name, layer = arguments.get("name", "q"), arguments.get("layer", 0)
    if not isinstance(name, str) or len(name) > 40 or type(layer) is not int:
        raise GlaswerkError(
            "name must be a text and layer a whole number", "„name“ muss ein Text sein, „layer“ eine ganze Zahl."
        )
    opened = holder.model()
    with holder.busy:
        one = piece(opened.model, name, layer)
        told = looked_at(one)
    picture = told["picture"].numpy()
    facts = {"model": holder.name, "name": one.name, "part": one.part, "layer": one.layer, "shape": one.shape}
    return as_json({**facts, **told, "picture": packed(picture)})
