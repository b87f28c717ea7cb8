"""BLOOM (ChatGLM spec 8)."""
import numpy as np
from common import Weights, attention, causal, gelu_tanh, layer_norm, linear, token_ids, write


def slopes(n):
    c = 2 ** int(np.floor(np.log2(n)))
    base, extra = 2.0 ** (-(2.0 ** -(np.log2(c) - 3))), 2.0 ** (-(2.0 ** -(np.log2(2 * c) - 3)))
    return np.array([base**k for k in range(1, c + 1)] + [extra**k for k in range(1, 2 * (n - c), 2)])


def forward(w, config, ids, prefix):
    h, n = config["hidden_size"], config.get("n_head") or config["num_attention_heads"]
    normalised = config["apply_residual_connection_post_layernorm"]
    embedding = w(prefix + "word_embeddings.weight", config["vocab_size"], h)
    x = layer_norm(w, prefix + "word_embeddings_layernorm", embedding[ids])
    bias = slopes(n)[:, None, None] * np.arange(len(ids))[None, None, :]
    for i in range(config["n_layer"]):
        layer = f"{prefix}h.{i}."
        a = layer_norm(w, layer + "input_layernorm", x)
        qkv = linear(w, layer + "self_attention.query_key_value", a, 3 * h).reshape(len(ids), n, 3, h // n)
        attended = attention(qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2], causal(len(ids)), bias)
        x = (a if normalised else x) + linear(w, layer + "self_attention.dense", attended, h)
        m = layer_norm(w, layer + "post_attention_layernorm", x)
        x = (m if normalised else x) + linear(w, layer + "mlp.dense_4h_to_h", gelu_tanh(linear(w, layer + "mlp.dense_h_to_4h", m, 4 * h)), h)
    return layer_norm(w, prefix + "ln_f", x) @ embedding.T


# Heads that are no power of two; the other residual; a text of several pages of the cache, of which the last rows are kept; names without their prefix.
for name, tokens, heads, normalised, prefix, rows in [
    ("bloom", 12, {"n_head": 6}, False, "transformer.", None),
    ("bloom-normalised-residual", 12, {"num_attention_heads": 4}, True, "transformer.", None),
    ("bloom-long", 150, {"n_head": 12}, False, "", [0, 63, 64, 147, 149]),
]:
    config = {"model_type": "bloom", "n_layer": 2, "hidden_size": 24, **heads, "n_inner": None, "vocab_size": 30, "layer_norm_epsilon": 1e-05,
              "apply_residual_connection_post_layernorm": normalised, "offset_alibi": 100}
    ids = token_ids(tokens, 30)
    w = Weights()
    write(name, config, w, ids, forward(w, config, ids, prefix), rows=rows)
