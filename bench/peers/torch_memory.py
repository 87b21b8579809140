"""Bytes that PyTorch's eager autograd holds for a DPO step at the shapes of bench/memory.ts, counted without a GPU.

    /usr/bin/python3 bench/peers/torch_memory.py > bench/results/torch_memory.json

saved: every tensor that autograd saved by the end of the forward pass (unique storages, through saved_tensors_hooks, on the meta
device: shapes only, nothing is computed). kept: these, weights, both Adam moments, the logits (their log-softmax is among
the saved) and gradients, as in a step that adds to gradients that are there (accumulation); fresh: the same without gradients,
as in a loop that frees them before each forward pass, or with gradients and without saved tensors if that is more. peak and
peak_fresh: for the small shapes, the most that torch's CPU allocator held in two real steps of either kind, from the
profiler's memory events; kept and fresh agree with them within 7 % from below.

attention: math writes the T x T scores out (eager PyTorch before 2.0); flash keeps q, k, v, the output and one number a row,
as scaled_dot_product_attention does in torch 2. The log-probabilities of the reference are given, as in this project's recipe:
no second model. Both sequences of a pair come from one forward pass over the B sequences of a shape, as in TRL. The Llama blocks
compute as Hugging Face's do (RMSNorm and SwiGLU written out, keys and values repeated for their query heads).
"""

import json
import math
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

SHAPES = {
    "micro": dict(kind="llama", V=1024, T=64, C=128, F=320, L=4, H=4, G=2, B=16, tied=True),
    "tiny": dict(kind="gpt", V=512, T=128, C=128, L=4, H=4, B=8),
    "small": dict(kind="gpt", V=4096, T=256, C=256, L=6, H=8, B=4),
    "gpt124m": dict(kind="gpt", V=50304, T=1024, C=768, L=12, H=12, B=4),
    "gpt1b": dict(kind="gpt", V=50304, T=1024, C=2048, L=16, H=16, B=2),
    "llama7b": dict(kind="llama", V=32000, T=2048, C=4096, F=11008, L=32, H=32, G=32, B=2, tied=False),
}
MEASURED = ["micro", "tiny", "small"]


class Flash(torch.autograd.Function):
    """What a fused attention saves. Only the shapes are right, and there is no backward pass."""

    @staticmethod
    def forward(ctx, q, k, v):
        y, lse = torch.empty_like(q), q.new_empty(q.shape[:-1])
        ctx.save_for_backward(q, k, v, y, lse)
        return y


def attend(q, k, v, mask, flash):
    if flash:
        return Flash.apply(q, k, v)
    scores = q @ k.transpose(2, 3) * q.shape[-1] ** -0.5
    return scores.masked_fill(mask, -math.inf).softmax(-1) @ v


def heads(x, H):
    B, T, width = x.shape
    return x.view(B, T, H, width // H).transpose(1, 2)


def joined(y):
    B, H, T, D = y.shape
    return y.transpose(1, 2).reshape(B, T, H * D)


def repeated(x, times):
    B, G, T, D = x.shape
    return x[:, :, None].expand(B, G, times, T, D).reshape(B, G * times, T, D)


class GptBlock(nn.Module):
    def __init__(self, s):
        super().__init__()
        C, self.H = s["C"], s["H"]
        self.ln_1, self.ln_2 = nn.LayerNorm(C), nn.LayerNorm(C)
        self.c_attn, self.c_proj = nn.Linear(C, 3 * C), nn.Linear(C, C)
        self.c_fc, self.down = nn.Linear(C, 4 * C), nn.Linear(4 * C, C)

    def forward(self, x, mask, flash):
        q, k, v = (heads(y, self.H) for y in self.c_attn(self.ln_1(x)).split(x.shape[-1], 2))
        x = x + self.c_proj(joined(attend(q, k, v, mask, flash)))
        return x + self.down(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))


class RmsNorm(nn.Module):
    def __init__(self, C):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(C))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5))


class LlamaBlock(nn.Module):
    def __init__(self, s):
        super().__init__()
        C, wide, self.H, self.G = s["C"], s["F"], s["H"], s["G"]
        D = C // self.H
        self.norm_1, self.norm_2 = RmsNorm(C), RmsNorm(C)
        self.q, self.o = nn.Linear(C, C, bias=False), nn.Linear(C, C, bias=False)
        self.k, self.v = (nn.Linear(C, self.G * D, bias=False) for _ in range(2))
        self.gate, self.up = (nn.Linear(C, wide, bias=False) for _ in range(2))
        self.down = nn.Linear(wide, C, bias=False)

    def rotated(self, x, cos, sin):
        half = x.shape[-1] // 2
        return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin

    def forward(self, x, mask, flash):
        a = self.norm_1(x)
        q, k, v = heads(self.q(a), self.H), heads(self.k(a), self.G), heads(self.v(a), self.G)
        cos, sin = (q.new_empty(q.shape[2], q.shape[3]) for _ in range(2))
        q, k = self.rotated(q, cos, sin), self.rotated(k, cos, sin)
        if self.G < self.H:
            k, v = (repeated(y, self.H // self.G) for y in (k, v))
        x = x + self.o(joined(attend(q, k, v, mask, flash)))
        m = self.norm_2(x)
        return x + self.down(F.silu(self.gate(m)) * self.up(m))


class Model(nn.Module):
    def __init__(self, s):
        super().__init__()
        gpt = s["kind"] == "gpt"
        self.wte = nn.Embedding(s["V"], s["C"])
        self.wpe = nn.Embedding(s["T"], s["C"]) if gpt else None
        self.blocks = nn.ModuleList((GptBlock if gpt else LlamaBlock)(s) for _ in range(s["L"]))
        self.norm = nn.LayerNorm(s["C"]) if gpt else RmsNorm(s["C"])
        self.head = nn.Linear(s["C"], s["V"], bias=False)
        if s.get("tied"):
            self.head.weight = self.wte.weight

    def forward(self, ids, mask, flash):
        x = self.wte(ids)
        if self.wpe is not None:
            x = x + self.wpe.weight
        for block in self.blocks:
            x = block(x, mask, flash)
        return self.head(self.norm(x))


def dpo_loss(model, s, device, flash):
    B, T = s["B"], s["T"]
    ids = torch.zeros(B, T, dtype=torch.int64, device=device)
    weights, reference = torch.ones(B, T, device=device), torch.zeros(B, device=device)
    mask = torch.ones(T, T, dtype=torch.bool, device=device).triu(1)
    logits = model(ids, mask, flash)
    token = logits.log_softmax(-1).gather(2, ids.unsqueeze(2)).squeeze(2)
    ratio = (token * weights).sum(1) - reference
    return -F.logsigmoid(0.1 * (ratio[: B // 2] - ratio[B // 2 :])).mean()


def kept(s, flash):
    """Bytes by kind at the end of a forward pass."""
    model = on_meta(s)
    parameters = {id_of(p) for p in model.parameters()}
    saved = {}  # the tensors are held, so that no storage is freed and its address used again

    def pack(tensor):
        if id_of(tensor) not in parameters:
            saved[id_of(tensor)] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        dpo_loss(model, s, "meta", flash)
    count = sum(p.numel() for p in model.parameters())
    activations = sum(t.storage().nbytes() for t in saved.values())
    forward = activations + 4 * s["B"] * s["T"] * s["V"]
    return {
        "parameters": count,
        "saved": activations,
        "kept": 16 * count + forward,
        "fresh": max(12 * count + forward, 16 * count),
    }


def id_of(tensor):
    return tensor.storage()._cdata


def on_meta(s):
    """The model without memory: layers take their device from the parameters' factory."""
    real = {name: getattr(torch, name) for name in ("empty", "ones", "zeros")}
    try:
        for name, make in real.items():
            setattr(torch, name, lambda *size, make=make, **options: make(*size, **{**options, "device": "meta"}))
        return Model(s).to("meta")
    finally:
        for name, make in real.items():
            setattr(torch, name, make)


def measured_peak(s, fresh):
    """The most bytes the CPU allocator held in two steps. fresh: gradients are freed before the forward pass, not behind it."""
    model = Model(s)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step():
        if fresh:
            optimizer.zero_grad(set_to_none=True)
        loss = dpo_loss(model, s, "cpu", False)
        loss.backward()
        optimizer.step()

    held = most = 4 * sum(p.numel() for p in model.parameters())  # the weights live before the profiler looks
    with torch.profiler.profile(profile_memory=True, activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        step()
        step()
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    for event in sorted(events, key=lambda e: e.start_us()):
        held += event.nbytes()
        most = max(most, held)
    return most


def main():
    torch.manual_seed(0)
    rows = {}
    for name, s in SHAPES.items():
        rows[name] = {"shape": s, "math": kept(s, False), "flash": kept(s, True)}
        if name in MEASURED:
            rows[name]["math"].update(peak=measured_peak(s, False), peak_fresh=measured_peak(s, True))
    json.dump({"torch": torch.__version__, "recipe": "dpo", "rows": rows}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
