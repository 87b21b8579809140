"""The PyTorch contestant of the peer comparison: model, optimizer, weights and batches as in bench/peers/workload.ts.

    /usr/bin/python3 bench/peers/torch_gpt.py --shape tiny --steps 8
    python3 bench/peers/torch_gpt.py --device cuda --dtype bf16 --shape gpt124m --steps 20

Prints one line of JSON: contestant, adapter, shape, losses (before each step's update), milliseconds per step and, on
CUDA, the peak bytes torch allocated. A step is timed from the host's batch to the loss as a Python number, so nothing is left
running. dtype f32 is eager float32 with TF32 off, tf32 lets the tensor cores round the inputs of matmuls, bf16 is
autocast with float32 weights; float64 is for golden values. --compile wraps the model in torch.compile, where torch has it.
--attention math writes the T x T scores out, as the other contestants do; sdpa takes torch's fused attention (torch 2
and later, and the default there).
"""

import argparse
import json
import math
import sys
import time
from contextlib import nullcontext

import torch
import torch.nn as nn
import torch.nn.functional as F

SHAPES = {
    "nano": dict(V=67, T=20, C=48, L=2, H=3, B=3),
    "tiny": dict(V=512, T=128, C=128, L=4, H=4, B=8),
    "small": dict(V=4096, T=256, C=256, L=6, H=8, B=4),
    "gpt124m": dict(V=50304, T=1024, C=768, L=12, H=12, B=4),
    "gpt1b": dict(V=50304, T=1024, C=2048, L=16, H=16, B=2),
}


def mix(x):
    """lowbias32 of int64 tensors that hold unsigned 32-bit numbers: products wrap, and their low half is kept."""
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return x ^ (x >> 16)


def hash32(seed, stream, index):
    """`index` an int64 tensor, the others numbers."""
    whole = torch.tensor(seed, device=index.device)
    return mix((index + mix((stream + mix(whole)) & 0xFFFFFFFF)) & 0xFFFFFFFF)


def weight_specs(s):
    """(name, shape, mean, spread) in the order that numbers the weights."""
    V, T, C = s["V"], s["T"], s["C"]

    def matrix(name, rows, columns):
        return [(name + ".weight", (rows, columns), 0.0, 0.035)]

    def linear(name, out, into):
        return matrix(name, out, into) + [(name + ".bias", (out,), 0.0, 0.01)]

    def norm(name):
        return [(name + ".weight", (C,), 1.0, 0.1), (name + ".bias", (C,), 0.0, 0.01)]

    specs = matrix("transformer.wte", V, C) + matrix("transformer.wpe", T, C)
    for l in range(s["L"]):
        layer = f"transformer.h.{l}"
        specs += norm(layer + ".ln_1") + linear(layer + ".attn.c_attn", 3 * C, C)
        specs += linear(layer + ".attn.c_proj", C, C) + norm(layer + ".ln_2")
        specs += linear(layer + ".mlp.c_fc", 4 * C, C) + linear(layer + ".mlp.c_proj", C, 4 * C)
    return specs + norm("transformer.ln_f") + matrix("lm_head", V, C)


def weight_values(shape, mean, spread, k, device="cpu"):
    bits = hash32(1, k, torch.arange(math.prod(shape), device=device)) >> 8
    return (mean + spread * ((bits.double() - 8388608) / 8388608)).float().reshape(shape)


def batch_of(s, step):
    rows = torch.empty(s["B"], s["T"] + 1, dtype=torch.int64)
    for b in range(s["B"]):
        phrase = hash32(2, step, torch.tensor(b)).item() % 8
        rows[b] = hash32(3, phrase, torch.arange(s["T"] + 1) % (5 + phrase)) % s["V"]
    return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()


class Block(nn.Module):
    def __init__(self, s):
        super().__init__()
        C = s["C"]
        self.H = s["H"]
        self.ln_1, self.ln_2 = nn.LayerNorm(C, eps=1e-5), nn.LayerNorm(C, eps=1e-5)
        self.attn = nn.ModuleDict({"c_attn": nn.Linear(C, 3 * C), "c_proj": nn.Linear(C, C)})
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(C, 4 * C), "c_proj": nn.Linear(4 * C, C)})

    def forward(self, x, mask):
        B, T, C = x.shape
        q, k, v = (y.view(B, T, self.H, C // self.H).transpose(1, 2) for y in self.attn["c_attn"](self.ln_1(x)).split(C, 2))
        if mask is None:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = q @ k.transpose(2, 3) * (C // self.H) ** -0.5
            y = scores.masked_fill(mask, -math.inf).softmax(-1) @ v
        x = x + self.attn["c_proj"](y.transpose(1, 2).reshape(B, T, C))
        return x + self.mlp["c_proj"](F.gelu(self.mlp["c_fc"](self.ln_2(x)), approximate="tanh"))


class Gpt(nn.Module):
    def __init__(self, s, attention):
        super().__init__()
        C = s["C"]
        self.transformer = nn.ModuleDict({
            "wte": nn.Embedding(s["V"], C),
            "wpe": nn.Embedding(s["T"], C),
            "h": nn.ModuleList(Block(s) for _ in range(s["L"])),
            "ln_f": nn.LayerNorm(C, eps=1e-5),
        })
        self.lm_head = nn.Linear(C, s["V"], bias=False)
        mask = torch.ones(s["T"], s["T"], dtype=torch.bool).triu(1) if attention == "math" else None
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, ids, targets):
        x = self.transformer["wte"](ids) + self.transformer["wpe"].weight
        for block in self.transformer["h"]:
            x = block(x, self.mask)
        logits = self.lm_head(self.transformer["ln_f"](x))
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def create(s, device="cpu", dtype=torch.float32, attention="math"):
    """The model with the workload's weights, and its optimizer."""
    with torch.device(device) if int(torch.__version__.split(".")[0]) >= 2 else nullcontext():
        model = Gpt(s, attention).to(device=device, dtype=dtype)
    names = dict(model.named_parameters())
    specs = weight_specs(s)
    assert sorted(names) == sorted(name for name, *_ in specs)
    with torch.no_grad():
        for k, (name, shape, mean, spread) in enumerate(specs):
            names[name].copy_(weight_values(shape, mean, spread, k, device))
    return model, torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)


def run(shape, steps, device="cpu", dtype="f32", attention="math", compiled=False):
    s = SHAPES[shape]
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = dtype == "tf32"
    model, optimizer = create(s, device, torch.float64 if dtype == "f64" else torch.float32, attention)
    forward = torch.compile(model) if compiled else model
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()  # what the making of the weights took is no part of a step
    losses, milliseconds = [], []
    for step in range(steps):
        ids, targets = batch_of(s, step)
        start = time.perf_counter()
        ids, targets = ids.to(device), targets.to(device)
        with torch.autocast("cuda", torch.bfloat16) if dtype == "bf16" else nullcontext():
            loss = forward(ids, targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if device == "cuda":
            torch.cuda.synchronize()
        milliseconds.append((time.perf_counter() - start) * 1000)
    return losses, milliseconds


def cpu_name():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return "CPU"


def main():
    fused = hasattr(F, "scaled_dot_product_attention")
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", choices=SHAPES, default="tiny")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=["f32", "tf32", "bf16", "f64"], default="f32")
    parser.add_argument("--attention", choices=["math", "sdpa"] if fused else ["math"], default="sdpa" if fused else "math")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    if args.device == "cpu" and args.dtype in ("tf32", "bf16"):
        sys.exit(f"error: --dtype {args.dtype} needs --device cuda")
    if args.device == "cuda" and not torch.cuda.is_available():
        sys.exit("error: this torch finds no CUDA device")
    torch.set_num_threads(args.threads)
    losses, milliseconds = run(args.shape, args.steps, args.device, args.dtype, args.attention, args.compile)
    cuda = args.device == "cuda"
    words = ["PyTorch", torch.__version__, args.device, args.dtype, args.attention] + ["compiled"] * args.compile
    print(json.dumps({
        "contestant": " ".join(words),
        "adapter": torch.cuda.get_device_name() if cuda else f"{cpu_name()}, {args.threads} threads",
        "shape": args.shape,
        "losses": losses,
        "milliseconds": milliseconds,
        **({"peakBytes": torch.cuda.max_memory_allocated()} if cuda else {}),
    }))


if __name__ == "__main__":
    main()
