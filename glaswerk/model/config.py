"""What a decoder is made of, as features; and its translation from and to a Hugging Face ``config.json``.

A stranger's configuration is read by allow-list: keys that are known are checked, a key that would change the
computation and is not supported is refused by name, harmless extra keys are ignored, and nothing in it is
ever run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glaswerk.errors import GlaswerkError

#: the largest sizes accepted from a file, far above any real model of these kinds
LIMITS = {
    "vocabulary_size": 2**22,
    "width": 2**17,
    "layers": 1024,
    "heads": 4096,
    "kv_heads": 4096,
    "head_width": 512,
    "mlp_width": 2**20,
    "context": 2**24,
}
#: numbers with a point: smaller ones turn angles or sums into infinities, larger ones mean a damaged file
RANGES = {"rope_theta": (1.0, 1e12), "norm_eps": (1e-12, 1.0)}
#: the keys of a Hugging Face ``config.json`` -> the feature whose limits hold for it
FEATURES = {
    "vocab_size": "vocabulary_size",
    **dict.fromkeys(("n_embd", "hidden_size"), "width"),
    **dict.fromkeys(("n_layer", "num_hidden_layers"), "layers"),
    **dict.fromkeys(("n_head", "num_attention_heads"), "heads"),
    "num_key_value_heads": "kv_heads",
    "head_dim": "head_width",
    **dict.fromkeys(("n_inner", "intermediate_size"), "mlp_width"),
    **dict.fromkeys(("n_positions", "n_ctx", "max_position_embeddings", "original_max_position_embeddings"), "context"),
    **dict.fromkeys(("rms_norm_eps", "layer_norm_epsilon"), "norm_eps"),
    "rope_theta": "rope_theta",
}


@dataclass(frozen=True)
class ModelConfig:
    """A decoder's features. Raises :class:`GlaswerkError` where they do not fit together."""

    vocabulary_size: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    mlp_width: int
    context: int
    positions: str = "rotary"  # or "learned"
    rope_theta: float = 10_000.0
    #: Llama 3.1's slowing of the rotary angles: factor, low and high frequency factor, trained context
    rope_llama3: tuple[float, float, float, int] | None = None
    norm: str = "rms"  # or "layer"
    norm_eps: float = 1e-6
    activation: str = "swiglu"  # or "gelu"
    attention_bias: bool = False  # of q, k and v
    output_bias: bool = False  # of attention's output
    mlp_bias: bool = False
    qk_norm: bool = False
    tied: bool = True
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name, limit in LIMITS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= limit:
                raise GlaswerkError(f"the model's {name} must be a whole number from 1 to {limit}, not {brief(value)}")
        if self.heads % self.kv_heads:
            raise GlaswerkError(
                f"the model's heads ({self.heads}) must be a multiple of its kv_heads ({self.kv_heads})"
            )
        for name, allowed in (
            ("positions", ("rotary", "learned")),
            ("norm", ("rms", "layer")),
            ("activation", ("swiglu", "gelu")),
        ):
            if getattr(self, name) not in allowed:
                raise GlaswerkError(
                    f"the model's {name} must be one of {', '.join(allowed)}, not {brief(getattr(self, name))}"
                )
        if self.positions == "rotary" and self.head_width % 2:
            raise GlaswerkError(f"rotary positions turn pairs: head_width must be even, not {self.head_width}")
        for name, (least, most) in RANGES.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
                raise GlaswerkError(
                    f"the model's {name} must be a number from {least:g} to {most:g}, not {brief(value)}"
                )
        if self.rope_llama3 is not None:
            factor, low, high, trained = self.rope_llama3
            if not (1 <= factor <= 1e6 and 1e-6 <= low < high <= 1e6 and 1 <= trained <= LIMITS["context"]):
                raise GlaswerkError(f"the model's rope_llama3 is out of range: {brief(self.rope_llama3)}")
        if not 0 <= self.dropout < 1:
            raise GlaswerkError(f"the model's dropout must be from 0 to below 1, not {brief(self.dropout)}")

    @classmethod
    def modern(
        cls,
        *,
        vocabulary_size: int,
        width: int,
        layers: int,
        context: int,
        heads: int | None = None,
        kv_heads: int | None = None,
        head_width: int | None = None,
        mlp_width: int | None = None,
        **features: Any,
    ) -> ModelConfig:
        """Qwen3's shape: RMSNorm, rotary positions, QK-norm, SwiGLU, tied head. Heads are 64 wide and the MLP
        8/3 of the width (rounded up to 32) unless given; no query groups unless ``kv_heads`` is given."""
        if heads is None:
            heads = max(1, width // (head_width or 64))
        return cls(
            vocabulary_size=vocabulary_size,
            width=width,
            layers=layers,
            heads=heads,
            kv_heads=kv_heads or heads,
            head_width=head_width or max(2, width // heads),
            mlp_width=mlp_width or -(-width * 8 // 3 // 32) * 32,
            context=context,
            **{"qk_norm": True, **features},
        )

    @classmethod
    def classic(
        cls,
        *,
        vocabulary_size: int,
        width: int,
        layers: int,
        context: int,
        heads: int | None = None,
        **features: Any,
    ) -> ModelConfig:
        """GPT-2's shape (Radford et al. 2019): LayerNorm, learned positions, GELU, biases, MLP of 4 widths,
        tied head."""
        heads = heads or max(1, width // 64)
        if width % heads:
            raise GlaswerkError(f"the width ({width}) must be a multiple of the heads ({heads})")
        gpt2 = {
            "kv_heads": heads,
            "head_width": width // heads,
            "mlp_width": 4 * width,
            "positions": "learned",
            "norm": "layer",
            "norm_eps": 1e-5,
            "activation": "gelu",
            "attention_bias": True,
            "output_bias": True,
            "mlp_bias": True,
        }
        return cls(
            vocabulary_size=vocabulary_size,
            width=width,
            layers=layers,
            heads=heads,
            context=context,
            **{**gpt2, **features},
        )

    # ------------------------------------------------------------------ Hugging Face
    def family(self) -> str:
        """The Hugging Face ``model_type`` that can express these features: gpt2, llama, qwen2 or qwen3.

        Raises :class:`GlaswerkError` where none can.
        """
        if self.positions == "learned":
            if (
                (self.norm, self.activation) == ("layer", "gelu")
                and self.attention_bias
                and self.output_bias
                and self.mlp_bias
                and not self.qk_norm
                and self.kv_heads == self.heads
                and self.heads * self.head_width == self.width
            ):
                return "gpt2"
        elif (self.norm, self.activation) == ("rms", "swiglu"):
            if self.qk_norm and not self.mlp_bias and self.attention_bias == self.output_bias:
                return "qwen3"
            if not self.qk_norm and self.attention_bias == self.output_bias:
                return "llama"
            if not self.qk_norm and self.attention_bias and not self.mlp_bias:
                return "qwen2"
        raise GlaswerkError(
            "no standard model type has this combination of features; "
            "use ModelConfig.modern(...) or .classic(...) as they are"
        )

    def to_hf(self) -> dict[str, Any]:
        """The contents of a ``config.json`` that transformers, vLLM and llama.cpp read."""
        family = self.family()
        if family == "gpt2":
            return {
                "architectures": ["GPT2LMHeadModel"],
                "model_type": "gpt2",
                "vocab_size": self.vocabulary_size,
                "n_embd": self.width,
                "n_layer": self.layers,
                "n_head": self.heads,
                "n_inner": self.mlp_width,
                "n_positions": self.context,
                "n_ctx": self.context,
                "activation_function": "gelu_new",
                "layer_norm_epsilon": self.norm_eps,
                "resid_pdrop": self.dropout,
                "embd_pdrop": self.dropout,
                "attn_pdrop": self.dropout,
                "tie_word_embeddings": self.tied,
            }
        scaling: dict[str, Any] | None = None
        if self.rope_llama3 is not None:
            factor, low, high, trained = self.rope_llama3
            scaling = {
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": low,
                "high_freq_factor": high,
                "original_max_position_embeddings": trained,
            }
        values: dict[str, Any] = {
            "architectures": [
                {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}[family]
            ],
            "model_type": family,
            "vocab_size": self.vocabulary_size,
            "hidden_size": self.width,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_width,
            "intermediate_size": self.mlp_width,
            "max_position_embeddings": self.context,
            "hidden_act": "silu",
            "rms_norm_eps": self.norm_eps,
            "rope_theta": self.rope_theta,
            "rope_scaling": scaling,
            "attention_dropout": 0.0,
            "tie_word_embeddings": self.tied,
        }
        if family != "qwen2":
            values["attention_bias"] = self.attention_bias
        if family == "llama":
            values["mlp_bias"] = self.mlp_bias
        else:
            values["use_sliding_window"] = False
        return values

    @classmethod
    def from_hf(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Read the contents of a ``config.json``.

        Raises :class:`GlaswerkError` that names the key where one is missing, of a wrong type, or asks for a
        computation that this decoder does not have.
        """
        if not isinstance(values, Mapping):
            raise GlaswerkError("config.json must hold one JSON object")
        family = values.get("model_type")
        if family not in FAMILIES:
            raise GlaswerkError(
                f"config.json: model_type {brief(family)} is not supported; supported are {', '.join(FAMILIES)}"
            )
        if values.get("auto_map"):
            raise GlaswerkError(
                "config.json: auto_map asks to run code that came with the model; Glaswerk never does that"
            )
        refuse_unknown(values, family)
        read = Reader(values)
        if family == "gpt2":
            width, heads = read.whole("n_embd"), read.whole("n_head")
            if width % heads:
                raise GlaswerkError(f"config.json: n_embd ({width}) must be a multiple of n_head ({heads})")
            return cls.classic(
                vocabulary_size=read.whole("vocab_size"),
                width=width,
                layers=read.whole("n_layer"),
                heads=heads,
                context=read.whole("n_positions", read.whole("n_ctx", 1024)),
                mlp_width=read.whole("n_inner", 4 * width),
                norm_eps=read.number("layer_norm_epsilon", 1e-5),
                tied=read.flag("tie_word_embeddings", True),
                dropout=read.number("resid_pdrop", 0.0),
            )
        width, heads = read.whole("hidden_size"), read.whole("num_attention_heads")
        kv_heads = read.whole("num_key_value_heads", heads)
        if heads % kv_heads:
            raise GlaswerkError(
                f"config.json: num_attention_heads ({heads}) must be a multiple of num_key_value_heads ({kv_heads})"
            )
        head_width = read.whole("head_dim", 128 if family == "qwen3" else width // heads)
        if values.get("head_dim") is None and family != "qwen3" and width % heads:
            raise GlaswerkError(
                f"config.json: hidden_size ({width}) must be a multiple of num_attention_heads ({heads}), "
                "or head_dim must be there"
            )
        if head_width % 2:
            raise GlaswerkError(f"config.json: head_dim must be even, as rotary positions turn pairs, not {head_width}")
        bias = read.flag("attention_bias", False) if family != "qwen2" else True
        theta, llama3 = read.rope()
        return cls(
            vocabulary_size=read.whole("vocab_size"),
            width=width,
            layers=read.whole("num_hidden_layers"),
            heads=heads,
            kv_heads=kv_heads,
            head_width=head_width,
            mlp_width=read.whole("intermediate_size"),
            context=read.whole("max_position_embeddings", 2048),
            rope_theta=theta,
            rope_llama3=llama3,
            norm_eps=read.number("rms_norm_eps", 1e-6),
            attention_bias=bias,
            output_bias=bias and family != "qwen2",
            mlp_bias=read.flag("mlp_bias", False) if family == "llama" else False,
            qk_norm=family == "qwen3",
            tied=read.flag("tie_word_embeddings", False),
        )


FAMILIES = ("gpt2", "llama", "mistral", "qwen2", "qwen3")

#: keys that from_hf itself reads, or that say nothing of the computation although they sound like it
KNOWN = frozenset(
    """n_embd n_head n_layer n_positions n_ctx n_inner layer_norm_epsilon resid_pdrop embd_pdrop attn_pdrop
    vocab_size hidden_size num_attention_heads num_hidden_layers num_key_value_heads head_dim
    intermediate_size max_position_embeddings rms_norm_eps rope_theta rope_scaling rope_parameters
    attention_bias mlp_bias attention_dropout tie_word_embeddings model_type initializer_range use_cache
    pretraining_tp reorder_and_upcast_attn max_window_layers _attn_implementation
    _attn_implementation_autoset attn_implementation output_attentions num_labels embedding_initializer_scale
    summary_activation summary_first_dropout summary_proj_to_labels summary_type summary_use_proj""".split()  # noqa: SIM905 (a list of 40 lines would say no more)
)
#: keys that may be there, but only with a value that leaves the computation as it is
ONLY: dict[str, tuple[Any, ...]] = {
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
    "hidden_act": ("silu", "swish"),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False, None),
    "add_cross_attention": (False, None),
    "is_encoder_decoder": (False, None),
    "is_decoder": (True, False, None),
    "use_sliding_window": (False, None),
    "partial_rotary_factor": (1.0, None),
    "rope_interleaved": (False, None),
    "prune_heads": (None,),
    "pruned_heads": (None, {}),
}
#: what a key looks like that changes what is computed
SOUNDS_COMPUTED = re.compile(
    r"softcap|scal|multipl|sliding|window|expert|moe|router|rope|rotary|alibi|clip|lora|latent|resid|norm|attn|attention"
    r"|mlp|layer_types|activation|_act$|head|quant|parallel|bias|position|nope|sparse|ssm|adapter",
    re.IGNORECASE,
)


def refuse_unknown(values: Mapping[str, Any], family: str) -> None:
    """Raise :class:`GlaswerkError` for the first key that asks for a computation we do not have.

    A key nobody here knows is refused if its name sounds like part of the computation and its value switches
    something on; ``"author": "me"`` is ignored, ``"final_logit_softcapping": 30.0`` is not.
    """
    for key, value in values.items():
        if key in ONLY:
            fits = any(
                value == allowed and isinstance(value, bool) == isinstance(allowed, bool) for allowed in ONLY[key]
            )
            if not fits:
                raise unsupported(key, value)
        elif key == "layer_types":
            if value is not None and (not isinstance(value, list) or any(kind != "full_attention" for kind in value)):
                raise GlaswerkError(f"config.json: layer_types = {brief(value)}: only full_attention is supported")
        elif key == "sliding_window":
            # Qwen writes a window and switches it off with another key; Mistral's is on when it is there
            used = value is not None and (family in ("llama", "mistral") or values.get("use_sliding_window") is True)
            if used:
                raise unsupported(key, value)
        elif key not in KNOWN and value not in (None, False, 0, "", [], {}) and SOUNDS_COMPUTED.search(key):
            raise unsupported(key, value)


def unsupported(key: str, value: Any) -> GlaswerkError:
    """The error for a key that asks for something this decoder does not compute."""
    shown = key if re.fullmatch(r"\w{1,60}", key) else brief(key)
    return GlaswerkError(f"config.json: {shown} = {brief(value)} is not supported; this model cannot be opened")


class Reader:
    """Typed look-ups in a ``config.json``; every complaint names its key."""

    def __init__(self, values: Mapping[str, Any], inside: str = "") -> None:
        self.values, self.inside = values, inside

    def whole(self, key: str, default: int | None = None) -> int:
        """A whole number; ``default`` where the key is missing or null, an error where there is no
        default."""
        value = self.values.get(key)
        if value is None:
            if default is None:
                raise GlaswerkError(f"config.json: {self.inside}{key} is missing; the file is not complete")
            return default
        most = LIMITS[FEATURES[key]]
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise GlaswerkError(
                f"config.json: {self.inside}{key} must be a whole number from 1 to {most}, not {brief(value)}"
            )
        return value

    def number(self, key: str, default: float) -> float:
        """A finite number, not below 0, and in the feature's range."""
        value = self.values.get(key)
        if value is None:
            return default
        least, most = RANGES.get(FEATURES.get(key, ""), (0.0, 1e6))
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:  # NaN is not
            raise GlaswerkError(
                f"config.json: {self.inside}{key} must be a number from {least:g} to {most:g}, not {brief(value)}"
            )
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise GlaswerkError(f"config.json: {key} must be true or false, not {brief(value)}")
        return value

    def rope(self) -> tuple[float, tuple[float, float, float, int] | None]:
        """theta and Llama 3.1's scaling (or None), from ``rope_theta`` and ``rope_scaling`` or from
        ``rope_parameters``."""
        theta = self.number("rope_theta", 10_000.0)
        for key in ("rope_scaling", "rope_parameters"):
            inner = self.values.get(key)
            if inner is None or inner == {}:
                continue
            if not isinstance(inner, Mapping):
                raise GlaswerkError(f"config.json: {key} must be an object, not {brief(inner)}")
            read = Reader(inner, f"{key}.")
            theta = read.number("rope_theta", theta)
            if inner.get("partial_rotary_factor", 1.0) not in (None, 1.0):
                raise GlaswerkError(
                    f"config.json: {key}.partial_rotary_factor is not supported; this model cannot be opened"
                )
            kind = inner.get("rope_type", inner.get("type", "default"))
            if kind == "default":
                continue
            if kind != "llama3":
                raise GlaswerkError(
                    f"config.json: {key} of type {brief(kind)} is not supported; this model cannot be opened"
                )
            factors = tuple(read.number(name, 0.0) for name in ("factor", "low_freq_factor", "high_freq_factor"))
            if factors[0] < 1 or not 1e-6 <= factors[1] < factors[2]:
                raise GlaswerkError(
                    f"config.json: {key} needs a factor of at least 1 and a low_freq_factor below its "
                    f"high_freq_factor, not {', '.join(f'{value:g}' for value in factors)}"
                )
            return theta, (*factors, read.whole("original_max_position_embeddings"))  # type: ignore[return-value]
        return theta, None


def brief(value: Any) -> str:
    """A value from a stranger's file, short enough for one line (and quick: a number of 4,000 digits is none)."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 1 << 200 else "a huge number"
    text = " ".join(text.split())  # a list of numbers from a GGUF file has lines
    return text if len(text) <= 60 else text[:57] + "..."
