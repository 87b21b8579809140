"""Golden losses of the fixed GPT workloads from torch autograd in float64, for every contestant and for our own GPT.

Run from anywhere:  /usr/bin/python3 test/golden/gpt_torch.py      (Debian: apt-get install python3-torch libopenblas0)

Model, weights, batches and optimizer: bench/peers/workload.ts, here from its twin bench/peers/torch_gpt.py. Writes
gpt_torch.json beside itself; per shape (nano, tiny, small)

  losses [20]   float64, each before its step's update
  weights       FNV-1a (32 bits) over the bytes of all initial weights, float32 little-endian, in their order
  batches       the same over ids and targets (uint32) of steps 0 to 19: ids of a step, then its targets
  gradNorms     nano only: L2 norm of the gradient of the first step's loss, by weight name
  finalNorms    nano only: L2 norm of every weight after the 20th update
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

here = Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent.parent / "bench" / "peers"))
import torch_gpt as gpt  # noqa: E402

STEPS = 20


def fnv(chunks):
    value = 0x811C9DC5
    for chunk in chunks:
        for byte in chunk.tobytes():
            value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def golden(shape):
    s = gpt.SHAPES[shape]
    model, optimizer = gpt.create(s, dtype=torch.float64)
    row = {
        "shape": s,
        "weights": fnv(gpt.weight_values(dims, mean, spread, k).numpy() for k, (_, dims, mean, spread) in enumerate(gpt.weight_specs(s))),
        "batches": fnv(part.numpy().astype(np.uint32) for step in range(STEPS) for part in gpt.batch_of(s, step)),
        "losses": [],
    }
    norms = lambda pick: {name: pick(p).norm().item() for name, p in model.named_parameters()}
    for step in range(STEPS):
        loss = model(*gpt.batch_of(s, step))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if step == 0 and shape == "nano":
            row["gradNorms"] = norms(lambda p: p.grad)
        optimizer.step()
        row["losses"].append(loss.item())
    if shape == "nano":
        row["finalNorms"] = norms(lambda p: p.detach())
    return row


if __name__ == "__main__":
    rows = {shape: golden(shape) for shape in ("nano", "tiny", "small")}
    text = json.dumps({"torch": torch.__version__, **rows}, indent=1)
    (here / "gpt_torch.json").write_text(text + "\n")
