#!/usr/bin/env python3
"""Records what plain re-tellings of GPT-2's, GLM-4's and BERT's tokenizers make of the synthetic lines.

Quadratic, with the published regular expressions under the `regex` package: nothing in common with the code under test.
Run RecordedIds once before (it writes the lines), then: record-words.py FOLDER
"""
import base64, glob, gzip, json, os, sys, unicodedata
import regex

here = os.path.dirname(os.path.abspath(__file__))
folder = sys.argv[1]
lines = open(glob.glob(f"{here}/bin/Release/*/synthetic-lines.txt")[0], encoding="utf-8", newline="\n").read().split("\n")[:-1]

GPT2 = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
GLM4 = regex.compile(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def merge(parts, rank):
    while len(parts) > 1:
        ranks = [rank(a, b) for a, b in zip(parts, parts[1:])]
        best = min((r for r in ranks if r is not None), default=None)
        if best is None:
            break
        at = ranks.index(best)
        parts = parts[:at] + [parts[at] + parts[at + 1]] + parts[at + 2:]
    return parts


def gpt2(name):
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    alphabet, others = {}, 0
    for b in range(256):
        alphabet[b] = chr(b if b in printable else 256 + others)
        others += b not in printable
    vocabulary = json.load(open(f"{folder}/{name}/vocab.json", encoding="utf-8"))
    merges = [tuple(l.split(" ")) for l in open(f"{folder}/{name}/merges.txt", encoding="utf-8").read().split("\n")[1:] if l]
    ranks = {pair: i for i, pair in enumerate(merges)}
    return lambda text: [vocabulary[part] for word in GPT2.findall(text)
                         for part in merge([alphabet[b] for b in word.encode()], lambda a, b: ranks.get((a, b)))]


def glm4(name):
    ranks = {base64.b64decode(a): int(b) for a, b in (l.split() for l in open(f"{folder}/{name}/tokenizer.model", "rb").read().splitlines())}
    return lambda text: [ranks[part] for word in GLM4.findall(text) for w in [word.encode()]
                         for part in ([w] if w in ranks else merge([w[i:i + 1] for i in range(len(w))], lambda a, b: ranks.get(a + b)))]


def bert(name):
    vocabulary = {l: i for i, l in enumerate(open(f"{folder}/{name}/vocab.txt", encoding="utf-8").read().split("\n"))}
    chinese = [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)]

    def piece(word):
        ids, start = [], 0
        while start < len(word):
            end = next((e for e in range(len(word), start, -1) if "##"[:2 * (start > 0)] + word[start:e] in vocabulary), None)
            if end is None or len(word) > 100:
                return [vocabulary["[UNK]"]]
            ids.append(vocabulary["##"[:2 * (start > 0)] + word[start:end]])
            start = end
        return ids

    def encode(text):
        text = "".join(c for c in text if c in "\t\n\r" or not (ord(c) == 0xFFFD or unicodedata.category(c)[0] == "C"))
        text = "".join(f" {c} " if any(a <= ord(c) <= b for a, b in chinese) else c for c in text)
        text = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn")
        text = "".join(f" {c} " if unicodedata.category(c)[0] == "P" or c in "$+<=>^`|~" else c for c in text)
        return [i for word in text.split() for i in piece(word)]

    # Versions of Unicode differ in which characters there are: such lines are no test.
    def is_known(text):
        return all((unicodedata.category(c) == "Cn") == bool(regex.match(r"\p{Cn}", c)) for c in text)

    return lambda text: encode(text) if is_known(text) else "-"


for name, make in ("gpt2", gpt2), ("opt", gpt2), ("glm-4-9b", glm4), ("glm-large", bert):
    encode = make(name)
    os.makedirs(f"{here}/vectors/words", exist_ok=True)
    with open(f"{here}/vectors/words/{name}.ids.gz", "wb") as file:
        file.write(gzip.compress("".join(" ".join(map(str, encode(line))) + "\n" for line in lines).encode(), 9, mtime=0))
