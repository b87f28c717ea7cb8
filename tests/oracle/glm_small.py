"""The first GLMs (ChatGLM spec 6)."""
import numpy as np
from common import Weights, attention, gelu_tanh, layer_norm, linear, token_ids, write


def forward(w, config, ids, positions, division, prefix):
    h, n, d = config["hidden_size"], config["num_attention_heads"], config["hidden_size"] // config["num_attention_heads"]
    inner = prefix + "transformer."
    embedding = w(prefix + "word_embeddings.weight", config["vocab_size"], h)
    table = config["max_sequence_length"] + 1
    x = embedding[ids] + w(inner + "position_embeddings.weight", table, h)[positions[0]] + w(inner + "block_position_embeddings.weight", table, h)[positions[1]]
    index = np.arange(len(ids))
    visible = (index[None, :] < division) | (index[None, :] <= index[:, None])
    for i in range(config["num_layers"]):
        layer = f"{inner}layers.{i}."
        qkv = linear(w, layer + "attention.query_key_value", layer_norm(w, layer + "input_layernorm", x), 3 * h)
        q, k, v = (part.reshape(-1, n, d) for part in np.split(qkv, 3, axis=-1))
        x = x + linear(w, layer + "attention.dense", attention(q, k, v, visible), h)
        m = layer_norm(w, layer + "post_attention_layernorm", x)
        x = x + linear(w, layer + "mlp.dense_4h_to_h", gelu_tanh(linear(w, layer + "mlp.dense_h_to_4h", m, 4 * h)), h)
    return layer_norm(w, inner + "final_layernorm", x) @ embedding.T


# A blank inside the text, a continuation at its end, and a checkpoint whose names lack the prefix.
for name, tokens, division, mask, prefix in [("glm-mask", 13, 8, 3, "glm."), ("glm-gmask", 11, 6, 5, "glm."), ("glm-bare-names", 9, 5, 4, "")]:
    config = {"model_type": "glm", "num_layers": 2, "hidden_size": 24, "num_attention_heads": 3, "vocab_size": 31, "max_sequence_length": 20,
              "block_position_encoding": True, "relative_encoding": False, "attention_scale": 8.0, "spell_length": None}
    ids = token_ids(tokens, 31)
    positions = [[i if i < division else mask for i in range(tokens)], [max(0, i - division + 1) for i in range(tokens)]]
    w = Weights()
    write(name, config, w, ids, forward(w, config, ids, positions, division, prefix), positions, division)
