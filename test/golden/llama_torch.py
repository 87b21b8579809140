"""Golden values for the Llama decoder, SFT and DPO, from torch autograd in float64.

Run from anywhere:  /usr/bin/python3 test/golden/llama_torch.py      (Debian: apt-get install python3-torch)

It writes two folders beside itself, llama_torch_untied/ and llama_torch_tied/, each holding

config.json         Hugging Face config of a tiny Llama
model.safetensors   the initial weights, float32, Hugging Face names (tied: no lm_head.weight). They were rounded to
                    float32 first and widened again, so every number below belongs to exactly these weights.
golden.safetensors  float32: `logits` [B,T,V] of the SFT batch, and `grad.<weight name>`: the gradient of the SFT loss
                    before any step. Logits behind a sequence's end come from causal attention over the padding
                    as if it were text: compare the positions t < lengths[b] only.
golden.json         everything else, float64:
  sft.ids [B,T]         right padded with padId;  sft.lengths [B], sft.promptLengths [B]: tokens of the whole sequence and of its prompt
  sft.mask [B,T]        1 where ids[b][t] is a completion token: promptLengths[b] <= t < lengths[b]
  sft.loss              sum over masked t of -log p(ids[b][t] | ids[b][:t]), over the number of masked tokens in the batch
  sft.gradNorm          global L2 norm of the gradients in golden.safetensors
  sft.optimizer         lr, betas, eps, weightDecay (2-D tensors only, embeddings included; decoupled), maxGradNorm
  sft.steps             ten rows { loss, gradNorm }, both taken before the step's update, always on the same batch
  sft.finalLoss         after the tenth update;  sft.finalNorms: L2 norm of every weight then
  dpo.*                 the same; `ids` [2P,T] holds P chosen sequences, then their P rejected ones in the same order.
                        beta, alpha; reference = the initial weights; referenceLogps [2P]
  dpo.steps             ten rows { loss, dpoLoss, sftLoss, logps [2P], rewardsChosen, rewardsRejected, margins,
                        accuracy, gradNorm }, taken before the update. rewards and margins are means over the pairs.
                        loss = dpoLoss + alpha * sftLoss
                        dpoLoss = mean over pairs of -log sigmoid(beta * ((w - ref_w) - (l - ref_l))), w and l sums of completion log-probs
                        sftLoss = token mean of -log p over all completion tokens of the chosen sequences

Clipping multiplies all gradients by min(1, maxGradNorm / (gradNorm + 1e-6)), as torch.nn.utils.clip_grad_norm_ does.
AdamW is torch.optim.AdamW: eps is added after the bias correction.

safetensors: 8 bytes little-endian header length, a JSON header {name: {dtype, shape, data_offsets}}, the data.

Letters: B sequences, T tokens, C width, H query heads, G key/value heads, D head size, F MLP width, V vocabulary, P pairs.
"""

import json
import struct
from pathlib import Path

import torch
import torch.nn.functional as F

C, FF, L, H, G, D, V = 32, 48, 2, 4, 2, 8, 64
RMS_EPS, THETA = 1e-5, 10000.0
PAD, BOS, EOS = 0, 1, 2
BETAS, ADAM_EPS, WEIGHT_DECAY, MAX_GRAD_NORM = (0.9, 0.999), 1e-8, 0.01, 1.0
SFT_LR, DPO_LR, STEPS = 1e-2, 1e-3, 10
BETA, ALPHA = 0.1, 0.1


def weight_shapes(tied):
    shapes = {"model.embed_tokens.weight": (V, C)}
    for i in range(L):
        layer = f"model.layers.{i}."
        shapes[layer + "input_layernorm.weight"] = (C,)
        shapes[layer + "self_attn.q_proj.weight"] = (H * D, C)
        shapes[layer + "self_attn.k_proj.weight"] = (G * D, C)
        shapes[layer + "self_attn.v_proj.weight"] = (G * D, C)
        shapes[layer + "self_attn.o_proj.weight"] = (C, H * D)
        shapes[layer + "post_attention_layernorm.weight"] = (C,)
        shapes[layer + "mlp.gate_proj.weight"] = (FF, C)
        shapes[layer + "mlp.up_proj.weight"] = (FF, C)
        shapes[layer + "mlp.down_proj.weight"] = (C, FF)
    shapes["model.norm.weight"] = (C,)
    if not tied:
        shapes["lm_head.weight"] = (V, C)
    return shapes


def random_weights(tied, seed):
    """Matrices ~ 0.2 N(0,1), norm gains ~ 1 + 0.2 N(0,1): large enough that no gradient is trivial."""
    rng = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in weight_shapes(tied).items():
        x = 0.2 * torch.randn(shape, generator=rng, dtype=torch.float64)
        weights[name] = (x + 1 if len(shape) == 1 else x).float().double()
    return weights


def rms_norm(x, gain):
    return x / torch.sqrt(x.pow(2).mean(-1, keepdim=True) + RMS_EPS) * gain


def rope(x):
    """x [B,T,heads,D]: dimension i turns with dimension i + D/2 (the Hugging Face layout), by t * theta^(-2i/D)."""
    T = x.shape[1]
    frequency = THETA ** (-torch.arange(0, D, 2, dtype=torch.float64) / D)
    angle = torch.arange(T, dtype=torch.float64)[:, None] * frequency  # [T, D/2]
    cos, sin = angle.cos()[None, :, None, :], angle.sin()[None, :, None, :]
    a, b = x[..., : D // 2], x[..., D // 2 :]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def logits_of(w, ids):
    """ids [B,T] -> logits [B,T,V]"""
    B, T = ids.shape
    x = w["model.embed_tokens.weight"][ids]
    future = torch.ones(T, T, dtype=torch.bool).triu(1)
    for i in range(L):
        p = f"model.layers.{i}."
        h = rms_norm(x, w[p + "input_layernorm.weight"])
        q = rope((h @ w[p + "self_attn.q_proj.weight"].T).view(B, T, H, D))
        k = rope((h @ w[p + "self_attn.k_proj.weight"].T).view(B, T, G, D))
        v = (h @ w[p + "self_attn.v_proj.weight"].T).view(B, T, G, D)
        k, v = (y.repeat_interleave(H // G, dim=2) for y in (k, v))  # query head h reads group h // (H/G)
        scores = torch.einsum("bthd,bshd->bhts", q, k) / D**0.5
        probs = scores.masked_fill(future, float("-inf")).softmax(-1)
        mixed = torch.einsum("bhts,bshd->bthd", probs, v).reshape(B, T, H * D)
        x = x + mixed @ w[p + "self_attn.o_proj.weight"].T
        h = rms_norm(x, w[p + "post_attention_layernorm.weight"])
        gate, up = h @ w[p + "mlp.gate_proj.weight"].T, h @ w[p + "mlp.up_proj.weight"].T
        x = x + (F.silu(gate) * up) @ w[p + "mlp.down_proj.weight"].T
    head = w["lm_head.weight"] if "lm_head.weight" in w else w["model.embed_tokens.weight"]
    return rms_norm(x, w["model.norm.weight"]) @ head.T


def token_logps(w, batch):
    """log p(ids[b][t] | before) at completion tokens, 0 elsewhere. [B,T]"""
    ids = batch["ids"]
    logp = logits_of(w, ids)[:, :-1].log_softmax(-1)
    picked = logp.gather(-1, ids[:, 1:, None])[..., 0]
    return F.pad(picked, (1, 0)) * batch["mask"]


def make_batch(lengths, prompt_lengths, T, seed, prompt_rows=None):
    """Random tokens: BOS first, EOS last, then padding. Row b takes its prompt from row prompt_rows[b] (a pair shares one)."""
    rng = torch.Generator().manual_seed(seed)
    ids = torch.full((len(lengths), T), PAD)
    for b, n in enumerate(lengths):
        ids[b, :n] = torch.randint(3, V, (n,), generator=rng)
        ids[b, 0], ids[b, n - 1] = BOS, EOS
    for b, row in enumerate(prompt_rows or []):
        ids[b, : prompt_lengths[b]] = ids[row, : prompt_lengths[b]]
    t = torch.arange(T)[None]
    mask = (t >= torch.tensor(prompt_lengths)[:, None]) & (t < torch.tensor(lengths)[:, None])
    return {"ids": ids, "lengths": lengths, "promptLengths": prompt_lengths, "mask": mask.double()}


def sft_loss(w, batch):
    return -token_logps(w, batch).sum() / batch["mask"].sum(), {}


def dpo_loss(w, batch, reference):
    """reference [2P]: summed completion log-probs of the initial weights."""
    logps = token_logps(w, batch)
    P = len(reference) // 2
    chosen, rejected = (BETA * (logps.sum(-1) - reference)).split(P)
    dpo = -F.logsigmoid(chosen - rejected).mean()
    sft = -logps[:P].sum() / batch["mask"][:P].sum()
    row = {
        "dpoLoss": dpo.item(),
        "sftLoss": sft.item(),
        "logps": logps.sum(-1).tolist(),
        "rewardsChosen": chosen.mean().item(),
        "rewardsRejected": rejected.mean().item(),
        "margins": (chosen - rejected).mean().item(),
        "accuracy": (chosen > rejected).double().mean().item(),
    }
    return dpo + ALPHA * sft, row


def train(initial, loss_of, lr):
    """STEPS AdamW steps on one batch. -> rows taken before each update, and what stands after the last one."""
    w = {name: x.clone().requires_grad_() for name, x in initial.items()}
    matrices = [x for x in w.values() if x.dim() == 2]
    vectors = [x for x in w.values() if x.dim() == 1]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=BETAS, eps=ADAM_EPS)
    rows = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss, row = loss_of(w)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(list(w.values()), MAX_GRAD_NORM)
        rows.append({"loss": loss.item(), **row, "gradNorm": norm.item()})
        optimizer.step()
    with torch.no_grad():
        final = loss_of(w)[0].item()
    optimizer_row = {
        "lr": lr,
        "betas": BETAS,
        "eps": ADAM_EPS,
        "weightDecay": WEIGHT_DECAY,
        "maxGradNorm": MAX_GRAD_NORM,
    }
    norms = {name: x.norm().item() for name, x in w.items()}
    return {"optimizer": optimizer_row, "steps": rows, "finalLoss": final, "finalNorms": norms}


def write_safetensors(path, tensors):
    header, chunks, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, x in tensors.items():
        chunk = x.detach().float().contiguous().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(x.shape), "data_offsets": [at, at + len(chunk)]}
        chunks.append(chunk)
        at += len(chunk)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data starts at a multiple of 8
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(chunks))


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1) + "\n")


def plain(batch):
    mask = [[int(x) for x in row] for row in batch["mask"].tolist()]
    return {"ids": batch["ids"].tolist(), "lengths": batch["lengths"], "promptLengths": batch["promptLengths"], "mask": mask}


def config(tied):
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": C,
        "intermediate_size": FF,
        "num_hidden_layers": L,
        "num_attention_heads": H,
        "num_key_value_heads": G,
        "head_dim": D,
        "vocab_size": V,
        "max_position_embeddings": 64,
        "rms_norm_eps": RMS_EPS,
        "rope_theta": THETA,
        "rope_scaling": None,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": tied,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "pad_token_id": PAD,
        "torch_dtype": "float32",
    }


def assert_padding_is_harmless(w, batch, logits):
    """Each sequence alone, unpadded, gives the logits it has in the padded batch."""
    for b, n in enumerate(batch["lengths"]):
        alone = logits_of(w, batch["ids"][b : b + 1, :n])[0]
        assert torch.allclose(alone, logits[b, :n], rtol=0, atol=1e-12)


def make_golden(tied, seed, folder):
    folder.mkdir(parents=True, exist_ok=True)
    initial = random_weights(tied, seed)
    sft_batch = make_batch([11, 6, 9], [4, 2, 5], 11, seed + 1)
    dpo_batch = make_batch([12, 7, 9, 13], [5, 3, 5, 3], 13, seed + 2, prompt_rows=[0, 1, 0, 1])

    w = {name: x.clone().requires_grad_() for name, x in initial.items()}
    logits = logits_of(w, sft_batch["ids"])
    assert_padding_is_harmless(w, sft_batch, logits)
    loss = sft_loss(w, sft_batch)[0]
    loss.backward()
    grads = {f"grad.{name}": x.grad for name, x in w.items()}
    norm = torch.sqrt(sum(x.pow(2).sum() for x in grads.values()))

    with torch.no_grad():
        reference = token_logps(initial, dpo_batch).sum(-1)
    sft = train(initial, lambda w: sft_loss(w, sft_batch), SFT_LR)
    dpo = train(initial, lambda w: dpo_loss(w, dpo_batch, reference), DPO_LR)

    write_json(folder / "config.json", config(tied))
    write_safetensors(folder / "model.safetensors", initial)
    write_safetensors(folder / "golden.safetensors", {"logits": logits, **grads})
    golden = {
        "torch": torch.__version__,
        "seed": seed,
        "padId": PAD,
        "sft": {**plain(sft_batch), "loss": loss.item(), "gradNorm": norm.item(), **sft},
        "dpo": {**plain(dpo_batch), "beta": BETA, "alpha": ALPHA, "referenceLogps": reference.tolist(), **dpo},
    }
    write_json(folder / "golden.json", golden)
    print(f"{folder.name}: SFT {sft['steps'][0]['loss']:.6f} -> {sft['finalLoss']:.6f}, gradient norm {norm:.4f};", end=" ")
    print(f"DPO {dpo['steps'][0]['loss']:.6f} -> {dpo['finalLoss']:.6f}, margin {dpo['steps'][-1]['margins']:.4f}")


if __name__ == "__main__":
    torch.set_num_threads(1)  # one summation order, so a rerun gives the same bytes
    here = Path(__file__).parent
    make_golden(False, 11, here / "llama_torch_untied")
    make_golden(True, 12, here / "llama_torch_tied")
