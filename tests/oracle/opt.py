"""OPT (ChatGLM spec 7)."""
import numpy as np
from common import Weights, attention, causal, layer_norm, linear, token_ids, write


def forward(w, config, ids, prefix):
    h, n, d = config["hidden_size"], config["num_attention_heads"], config["hidden_size"] // config["num_attention_heads"]
    width, before = config.get("word_embed_proj_dim", h), config["do_layer_norm_before"]
    embedding = w(prefix + "embed_tokens.weight", config["vocab_size"], width)
    x = embedding[ids]
    if width != h:
        x = linear(w, prefix + "project_in", x, h, bias=False)
    x = x + w(prefix + "embed_positions.weight", config["max_position_embeddings"] + 2, h)[np.arange(len(ids)) + 2]
    for i in range(config["num_hidden_layers"]):
        layer = f"{prefix}layers.{i}."
        a = layer_norm(w, layer + "self_attn_layer_norm", x) if before else x
        q = linear(w, layer + "self_attn.q_proj", a, h).reshape(-1, n, d)
        k = linear(w, layer + "self_attn.k_proj", a, h).reshape(-1, n, d)
        v = linear(w, layer + "self_attn.v_proj", a, h).reshape(-1, n, d)
        x = x + linear(w, layer + "self_attn.out_proj", attention(q, k, v, causal(len(ids))), h)
        if not before:
            x = layer_norm(w, layer + "self_attn_layer_norm", x)
        m = layer_norm(w, layer + "final_layer_norm", x) if before else x
        x = x + linear(w, layer + "fc2", np.maximum(0, linear(w, layer + "fc1", m, config["ffn_dim"])), h)
        if not before:
            x = layer_norm(w, layer + "final_layer_norm", x)
    if before:
        x = layer_norm(w, prefix + "final_layer_norm", x)
    if width != h:
        x = linear(w, prefix + "project_out", x, width, bias=False)
    return x @ embedding.T


# The usual form; that of the 350m, whose norms follow; and names without their first part.
for name, changes, prefix in [
    ("opt", {"do_layer_norm_before": True}, "model.decoder."),
    ("opt-350m", {"do_layer_norm_before": False, "word_embed_proj_dim": 12}, "model.decoder."),
    ("opt-bare-names", {"do_layer_norm_before": True, "_remove_final_layer_norm": False}, "decoder."),
]:
    config = {"model_type": "opt", "architectures": ["OPTForCausalLM"], "num_hidden_layers": 2, "hidden_size": 20, "ffn_dim": 44, "num_attention_heads": 4,
              "vocab_size": 29, "max_position_embeddings": 16, "activation_function": "relu", **changes}
    ids = token_ids(11, 29)
    w = Weights()
    write(name, config, w, ids, forward(w, config, ids, prefix))
