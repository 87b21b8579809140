"""Golden values for the RoBERTa encoder with reward heads, from torch autograd in float64.

Run from anywhere:  /usr/bin/python3 test/golden/roberta_torch.py      (Debian: apt-get install python3-torch)

It writes roberta_torch/ beside itself:

config.json         Hugging Face config of a tiny RoBERTa
model.safetensors   float32 weights by Hugging Face's names (prefix `roberta.`), with the classifier of the cls head and a row
                    `score` for the mean head. They were rounded to float32 first, so all below belongs to exactly these.
golden.safetensors  float32: `hidden` [B,T,C] of the last layer (rows behind a sequence's end: compare nothing there), and
                    `grad.<weight name>`, the gradient of cls.loss
golden.json         float64: ids [B,T] right padded; lengths [B]; margins [P]; center;
                    cls and mean: { scores [B], loss, gradNorm }; rows 0..P-1 are the chosen ones, P..2P-1 the rejected

loss = mean over pairs of -log sigmoid(r_w - r_l - margin) + center (r_w + r_l)^2. Dropout is off. The padding mask keeps
padding out of attention; position ids are cumsum(not pad) + pad id, and pad id on padding.
"""

import json
import struct
from pathlib import Path

import torch
import torch.nn.functional as F

C, FF, L, H, V, POSITIONS, TYPES = 24, 40, 2, 2, 50, 20, 1
EPS, PAD, BOS, EOS = 1e-5, 1, 0, 2
CENTER, MARGINS = 0.01, [0.5, 0.1]
LENGTHS = [9, 13, 5, 12]


def weight_shapes():
    shapes = {
        "roberta.embeddings.word_embeddings.weight": (V, C),
        "roberta.embeddings.position_embeddings.weight": (POSITIONS, C),
        "roberta.embeddings.token_type_embeddings.weight": (TYPES, C),
        "roberta.embeddings.LayerNorm.weight": (C,),
        "roberta.embeddings.LayerNorm.bias": (C,),
    }
    for i in range(L):
        p = f"roberta.encoder.layer.{i}."
        for name, out, into in (
            ("attention.self.query", C, C),
            ("attention.self.key", C, C),
            ("attention.self.value", C, C),
            ("attention.output.dense", C, C),
            ("intermediate.dense", FF, C),
            ("output.dense", C, FF),
        ):
            shapes[p + name + ".weight"] = (out, into)
            shapes[p + name + ".bias"] = (out,)
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[p + name + ".weight"] = (C,)
            shapes[p + name + ".bias"] = (C,)
    for name, out in (("classifier.dense", C), ("classifier.out_proj", 1), ("score", 1)):
        shapes[name + ".weight"] = (out, C)
        shapes[name + ".bias"] = (out,)
    return shapes


def random_weights(seed):
    """0.3 N(0,1), gains around 1: large enough that no gradient is trivial."""
    rng = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in weight_shapes().items():
        x = 0.3 * torch.randn(shape, generator=rng, dtype=torch.float64)
        weights[name] = (x + 1 if name.endswith("LayerNorm.weight") else x).float().double()
    return weights


def hidden_of(w, ids):
    """ids [B,T] -> [B,T,C]"""
    B, T = ids.shape
    real = ids != PAD
    positions = real.cumsum(1) * real + PAD
    norm = lambda x, name: F.layer_norm(x, (C,), w[name + ".weight"], w[name + ".bias"], EPS)
    dense = lambda x, name: x @ w[name + ".weight"].T + w[name + ".bias"]
    e = "roberta.embeddings."
    x = w[e + "word_embeddings.weight"][ids] + w[e + "position_embeddings.weight"][positions]
    x = norm(x + w[e + "token_type_embeddings.weight"][torch.zeros_like(ids)], e + "LayerNorm")
    heads = lambda x: x.view(B, T, H, C // H).transpose(1, 2)
    for i in range(L):
        p = f"roberta.encoder.layer.{i}."
        q, k, v = (heads(dense(x, p + "attention.self." + name)) for name in ("query", "key", "value"))
        scores = q @ k.transpose(-1, -2) / (C // H) ** 0.5
        scores = scores.masked_fill(~real[:, None, None, :], -1e30)
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(B, T, C)
        x = norm(dense(mixed, p + "attention.output.dense") + x, p + "attention.output.LayerNorm")
        wide = F.gelu(dense(x, p + "intermediate.dense"))
        x = norm(dense(wide, p + "output.dense") + x, p + "output.LayerNorm")
    return x


def scores_of(w, ids, head):
    h = hidden_of(w, ids)
    if head == "cls":
        x = torch.tanh(h[:, 0] @ w["classifier.dense.weight"].T + w["classifier.dense.bias"])
        return (x @ w["classifier.out_proj.weight"].T + w["classifier.out_proj.bias"])[:, 0]
    real = (ids != PAD).double()[:, :, None]
    x = (h * real).sum(1) / real.sum(1)
    return (x @ w["score.weight"].T + w["score.bias"])[:, 0]


def loss_of(scores):
    w, l = scores.chunk(2)
    return (-F.logsigmoid(w - l - torch.tensor(MARGINS, dtype=torch.float64)) + CENTER * (w + l) ** 2).mean()


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, x in tensors.items():
        raw = x.detach().float().contiguous().numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(x.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    out = Path(__file__).resolve().parent / "roberta_torch"
    out.mkdir(exist_ok=True)
    rng = torch.Generator().manual_seed(5)
    ids = torch.full((len(LENGTHS), max(LENGTHS)), PAD)
    for b, n in enumerate(LENGTHS):
        ids[b, :n] = torch.randint(3, V, (n,), generator=rng)
        ids[b, 0], ids[b, n - 1] = BOS, EOS
    initial = random_weights(11)
    golden = {"ids": ids.tolist(), "lengths": LENGTHS, "margins": MARGINS, "center": CENTER}
    tensors = {"hidden": hidden_of(initial, ids)}
    for head in ("cls", "mean"):
        w = {name: x.clone().requires_grad_() for name, x in initial.items()}
        scores = scores_of(w, ids, head)
        loss = loss_of(scores)
        loss.backward()
        grads = {name: x.grad for name, x in w.items() if x.grad is not None}
        norm = sum(g.pow(2).sum() for g in grads.values()).sqrt().item()
        golden[head] = {"scores": scores.tolist(), "loss": loss.item(), "gradNorm": norm}
        if head == "cls":
            tensors.update({"grad." + name: g for name, g in grads.items()})
    config = {
        "model_type": "roberta",
        "hidden_size": C,
        "intermediate_size": FF,
        "num_hidden_layers": L,
        "num_attention_heads": H,
        "vocab_size": V,
        "max_position_embeddings": POSITIONS,
        "type_vocab_size": TYPES,
        "layer_norm_eps": EPS,
        "hidden_act": "gelu",
        "pad_token_id": PAD,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
    }
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    write_safetensors(out / "model.safetensors", initial)
    write_safetensors(out / "golden.safetensors", tensors)
    (out / "golden.json").write_text(json.dumps({"torch": torch.__version__, **golden}, indent=1) + "\n")
