"""What the oracles share: weights that are a function of their name and index, norms, attention in float64, and the files they write.

A weight file would be large, so both sides compute it: u in [-1, 1) from the upper 16 bits of splitmix64(fnv1a64(name) + index). A vector whose name ends in
"weight" is 1 + u / 4, another vector u / 8, a matrix u / 2^floor(log2(columns) / 2). All of these are exact in float32.
"""
import json
import os

import numpy as np

MASK = np.uint64(0xFFFFFFFFFFFFFFFF)
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "reference-own")


class Weights:
    """Tensors by name; remembers what was asked for."""

    def __init__(self):
        self.shapes = {}

    def __call__(self, name, *shape):
        self.shapes[name] = list(shape)
        key = 0xCBF29CE484222325
        for byte in name.encode():
            key = (key ^ byte) * 0x100000001B3 & int(MASK)
        with np.errstate(over="ignore"):
            z = np.uint64(key) + np.arange(int(np.prod(shape)), dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z = z ^ (z >> np.uint64(31))
        u = ((z >> np.uint64(48)).astype(np.float64) - 32768) / 32768
        if len(shape) == 1:
            u = 1 + u / 4 if name.endswith("weight") else u / 8
        else:
            u = u / 2.0 ** (int(np.log2(shape[-1])) // 2 if shape[-1] > 1 else 0)
        return u.reshape(shape)


def linear(w, name, x, rows, bias=True):
    y = x @ w(name + ".weight", rows, x.shape[-1]).T
    return y + w(name + ".bias", rows) if bias else y


def layer_norm(w, name, x, epsilon=1e-5):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon) * w(name + ".weight", x.shape[-1]) + w(name + ".bias", x.shape[-1])


def rms_norm(w, name, x, epsilon):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * w(name + ".weight", x.shape[-1])


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(0.7978845608028654 * (x + 0.044715 * x**3)))


def attention(q, k, v, visible, bias=0):
    """q, k, v [tokens, heads, d]; visible [query, key]; bias [heads, query, key] -> [tokens, heads * d]."""
    scores = np.einsum("ihd,jhd->hij", q, k) / np.sqrt(q.shape[-1]) + bias
    scores = np.where(visible, scores, -np.inf)
    p = np.exp(scores - scores.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    return np.einsum("hij,jhd->ihd", p, v).reshape(q.shape[0], -1)


def causal(tokens):
    return np.tril(np.ones((tokens, tokens), bool))


def token_ids(tokens, vocabulary):
    return [(7 * i * i + 3 * i + 1) % vocabulary for i in range(tokens)]


def write(name, config, weights, ids, logits, positions=None, division=0, rows=None, **more):
    """A case: what goes into config.json, the tensors of the checkpoint, the input, and the logits of some rows."""
    rows = list(range(len(ids))) if rows is None else rows
    case = {
        "config": config,
        "tensors": weights.shapes,
        "ids": ids,
        "positions": [list(range(len(ids)))] if positions is None else positions,
        "division": division,
        "rows": rows,
        "logits": [[float(f"{x:.7g}") for x in logits[row]] for row in rows],
        **more,
    }
    with open(os.path.join(FOLDER, name + ".json"), "w") as file:
        json.dump(case, file, separators=(",", ":"))
        file.write("\n")
