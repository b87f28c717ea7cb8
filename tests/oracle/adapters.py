"""LoRA and P-Tuning v2 (ChatGLM spec 14) on ChatGLM2, native GLM-4 and ChatGLM-6B (spec 2.2, 2.3). Adapters are tensors of the same kind as weights."""
import numpy as np
from chatglm2 import NAMES, NATIVE, SHAPE, config, forward, native
from common import Weights, attention, gelu_tanh, layer_norm, linear, token_ids, write


class Adapted(Weights):
    """Weights of which some matrices are W + scale B A."""

    def __init__(self, modules, rank, scale, infix=""):
        super().__init__()
        self.modules, self.rank, self.scale, self.infix, self.adapter = modules, rank, scale, infix, Weights()

    def __call__(self, name, *shape):
        w = super().__call__(name, *shape)
        module = name.removesuffix(".weight")
        if name.endswith(".weight") and any(module.endswith(m) for m in self.modules):
            a, b = (self.adapter(f"base_model.model.{module}.lora_{half}{self.infix}.weight", *size)
                    for half, size in (("A", (self.rank, shape[1])), ("B", (shape[0], self.rank))))
            w = w + self.scale * b @ a
        return w


def rotate(x, positions):
    """j and j + r / 2 of heads of r elements."""
    r = x.shape[-1]
    frequency = (10000.0 ** (-np.arange(0, r, 2) / r)).astype(np.float32)
    angle = (np.array(positions, np.float32)[:, None] * frequency).astype(np.float64)[:, None, :]
    a, b = x[..., : r // 2], x[..., r // 2 :]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)], axis=-1)


def chatglm6b(w, h, n, inner, layers, vocabulary, ids, positions, division, prefix=None):
    d, alpha, tokens = h // n, np.sqrt(56), len(ids)
    seen = (np.arange(tokens)[None, :] <= np.arange(tokens)[:, None]) | (np.arange(tokens)[None, :] < division)
    x = w("transformer.word_embeddings.weight", vocabulary, h)[ids]
    for i in range(layers):
        layer = f"transformer.layers.{i}."
        a = layer_norm(w, layer + "input_layernorm", x)
        q, k, v = np.split(linear(w, layer + "attention.query_key_value", a, 3 * h).reshape(tokens, n, 3 * d), 3, axis=-1)
        q, k = (np.concatenate([rotate(y[..., : d // 2], positions[0]), rotate(y[..., d // 2 :], positions[1])], axis=-1) for y in (q, k))
        visible = seen
        if prefix is not None:
            k, v = np.concatenate([prefix[:, i, 0], k]), np.concatenate([prefix[:, i, 1], v])
            visible = np.concatenate([np.ones((tokens, len(prefix)), bool), seen], axis=1)
        m = layer_norm(w, layer + "post_attention_layernorm", alpha * a + linear(w, layer + "attention.dense", attention(q, k, v, visible), h))
        x = alpha * m + linear(w, layer + "mlp.dense_4h_to_h", gelu_tanh(linear(w, layer + "mlp.dense_h_to_4h", m, inner)), h)
    return layer_norm(w, "transformer.final_layernorm", x) @ w("lm_head.weight", vocabulary, h).T


def prefix_encoder(tokens, width, heads, d, embedding=None, inner=None):
    """Keys and values [tokens, layers, 2, heads, d] and the tensors they come from; through a projection if inner is given."""
    w, name = Weights(), "transformer.prefix_encoder."
    kv = w(name + "embedding.weight", tokens, embedding or width)
    if inner is not None:
        kv = linear(w, name + "trans.2", np.tanh(linear(w, name + "trans.0", kv, inner)), width)
    return w, kv.reshape(tokens, -1, 2, heads, d)


def lora(rank, alpha, **more):
    return {"peft_type": "LORA", "base_model_name_or_path": "THUDM/chatglm", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": alpha, "lora_dropout": 0.1, "bias": "none",
            "fan_in_fan_out": False, "target_modules": ["query_key_value"], "modules_to_save": None, **more}


def case(name, cfg, w, ids, logits, adapter, adapter_config=None, **more):
    write("adapters/" + name, cfg, w, ids, logits, adapter_tensors=adapter.shapes, adapter_config=adapter_config, **more)


ids, near = token_ids(13, 27), list(range(13))
shape = {**SHAPE, "epsilon": 1e-5}
rows = [0, 6, 7, 12]

w = Adapted(["query_key_value", "dense_4h_to_h"], 3, 2)
case("lora-chatglm2", config(64, 1e-5), w, ids, forward(w, shape, ids, near, 10000.0, 1, NAMES), w.adapter, lora(3, 6), rows=rows)
w = Adapted(["q_proj", "v_proj", "gate_up_proj"], 4, 8 / 2, infix=".default")
native_shape = {**SHAPE, "epsilon": 1.5625e-07}
case("lora-glm4-native", native, w, ids, forward(w, native_shape, ids, near, 5e6, 1, NATIVE), w.adapter, lora(4, 8, use_rslora=True), rows=rows)
w = Weights()
adapter, kv = prefix_encoder(70, 2 * 2 * 2 * 12, 2, 12)
case("prefix-chatglm2", config(64, 1e-5), w, ids, forward(w, shape, ids, near, 10000.0, 1, NAMES, kv), adapter, rows=rows)

config6 = {"model_type": "chatglm", "num_layers": 2, "hidden_size": 32, "inner_hidden_size": 44, "num_attention_heads": 4, "vocab_size": 27, "max_sequence_length": 32,
           "position_encoding_2d": True, "rotary_mode": "exact"}
division, mask = 7, 3
positions = [[i if i < division else mask for i in range(13)], [max(0, i - division + 1) for i in range(13)]]
size6 = (32, 4, 44, 2, 27, ids, positions, division)
w = Adapted(["query_key_value"], 8, 4)
case("lora-chatglm-6b", config6, w, ids, chatglm6b(w, *size6), w.adapter, lora(8, 32), positions=positions, division=division, rows=rows)
for name, tokens, embedding, inner in [("prefix-chatglm-6b", 5, None, None), ("prefix-projected-chatglm-6b", 9, 32, 20)]:
    w = Weights()
    adapter, kv = prefix_encoder(tokens, 2 * 2 * 32, 4, 8, embedding, inner)
    case(name, config6, w, ids, chatglm6b(w, *size6, kv), adapter, positions=positions, division=division, rows=rows)
