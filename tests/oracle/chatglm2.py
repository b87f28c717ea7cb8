"""GLM-4 and the long-context ChatGLM2 and ChatGLM3 (ChatGLM spec 3.3, 3.4, 4, 5), at positions far out. Angles are rounded to float32, as the originals do."""
import numpy as np
from common import Weights, attention, causal, linear, rms_norm, token_ids, write


def rotate(x, positions, base, scale):
    """Neighbouring pairs of the first half of each head."""
    r = x.shape[-1] // 2
    frequency = (base ** (-np.arange(0, r, 2) / r)).astype(np.float32)
    angle = ((np.array(positions) / scale).astype(np.float32)[:, None] * frequency).astype(np.float64)[:, None, :]
    y = x.copy()
    y[..., 0:r:2] = x[..., 0:r:2] * np.cos(angle) - x[..., 1:r:2] * np.sin(angle)
    y[..., 1:r:2] = x[..., 1:r:2] * np.cos(angle) + x[..., 0:r:2] * np.sin(angle)
    return y


def forward(w, shape, ids, positions, base, scale, names, prefix=None):
    """prefix: keys and values of virtual tokens [tokens, layers, 2, g, d], which are not rotated."""
    h, n, g, d, inner, epsilon = (shape[key] for key in ("h", "n", "g", "d", "inner", "epsilon"))
    x = w(names["embedding"], shape["vocabulary"], h)[ids]
    for i in range(shape["layers"]):
        layer = names["layer"].format(i)
        a = rms_norm(w, layer + "input_layernorm", x, epsilon)
        if "qkv" in names:
            qkv = linear(w, layer + names["qkv"], a, (n + 2 * g) * d)
        else:
            qkv = np.concatenate([linear(w, f"{layer}self_attn.{p}_proj", a, rows * d) for p, rows in (("q", n), ("k", g), ("v", g))], axis=-1)
        q, k, v = (part.reshape(len(ids), -1, d) for part in np.split(qkv, [n * d, (n + g) * d], axis=-1))
        q, k = rotate(q, positions, base, scale), rotate(k, positions, base, scale)
        visible = causal(len(ids))
        if prefix is not None:
            k, v = np.concatenate([prefix[:, i, 0], k]), np.concatenate([prefix[:, i, 1], v])
            visible = np.concatenate([np.ones((len(ids), len(prefix)), bool), visible], axis=1)
        k, v = np.repeat(k, n // g, axis=1), np.repeat(v, n // g, axis=1)
        x = x + linear(w, layer + names["dense"], attention(q, k, v, visible), h, bias=False)
        gate, up = np.split(linear(w, layer + names["up"], rms_norm(w, layer + "post_attention_layernorm", x, epsilon), 2 * inner, bias=False), 2, axis=-1)
        x = x + linear(w, layer + names["down"], gate / (1 + np.exp(-gate)) * up, h, bias=False)
    return rms_norm(w, names["final"], x, epsilon) @ w(names["output"], shape["vocabulary"], h).T


NAMES = {"embedding": "transformer.embedding.word_embeddings.weight", "layer": "transformer.encoder.layers.{}.", "qkv": "self_attention.query_key_value",
         "dense": "self_attention.dense", "up": "mlp.dense_h_to_4h", "down": "mlp.dense_4h_to_h", "final": "transformer.encoder.final_layernorm",
         "output": "transformer.output_layer.weight"}
NATIVE = {"embedding": "model.embed_tokens.weight", "layer": "model.layers.{}.", "dense": "self_attn.o_proj", "up": "mlp.gate_up_proj", "down": "mlp.down_proj",
          "final": "model.norm", "output": "lm_head.weight"}
SHAPE = {"layers": 2, "h": 32, "n": 4, "g": 2, "d": 12, "inner": 36, "vocabulary": 27}


def config(sequence, epsilon, **more):
    return {"model_type": "chatglm", "num_layers": 2, "hidden_size": 32, "ffn_hidden_size": 36, "kv_channels": 12, "num_attention_heads": 4, "multi_query_attention": True,
            "multi_query_group_num": 2, "padded_vocab_size": 27, "seq_length": sequence, "layernorm_epsilon": epsilon, "rmsnorm": True, "add_bias_linear": False,
            "add_qkv_bias": True, "original_rope": True, **more}


near, far = list(range(13)), [0, 1, 2, 500, 4095, 4096, 9000, 16384, 20001, 31000, 32765, 32766, 32767]
native = {"model_type": "glm", "num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 36, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 12,
          "vocab_size": 27, "max_position_embeddings": 131072, "rms_norm_eps": 1.5625e-07, "rope_theta": 5000000.0, "partial_rotary_factor": 0.5, "attention_bias": True}
if __name__ == "__main__":
    for name, cfg, epsilon, positions, base, scale, names in [
        ("glm4", config(131072, 1.5625e-07, rope_ratio=500), 1.5625e-07, [p * 4 for p in far], 10000 * 500, 1, NAMES),
        ("glm4-native", native, 1.5625e-07, near, 5e6, 1, NATIVE),
        ("chatglm2-32k", config(32768, 1e-5, rope_ratio=16, _name_or_path="THUDM/chatglm2-6b-32k"), 1e-5, far, 10000, 16, NAMES),
        ("chatglm3-32k", config(32768, 1e-5, rope_ratio=50, _name_or_path="THUDM/chatglm3-6b-32k"), 1e-5, far, 10000 * 50, 1, NAMES),
    ]:
        ids = token_ids(13, 27)
        w = Weights()
        write(name, cfg, w, ids, forward(w, {**SHAPE, "epsilon": epsilon}, ids, positions, float(base), scale, names), [positions])
