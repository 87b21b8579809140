"""Golden values for PPO and GRPO on the tiny Llama of llama_torch.py, from torch autograd in float64.

Run from anywhere:  /usr/bin/python3 test/golden/ppo_torch.py      (Debian: apt-get install python3-torch)

It starts from llama_torch_tied/model.safetensors and writes beside itself the folder ppo_torch/ with

golden.json          two runs, `ppo` and `grpo`, each with
  ids, lengths, promptLengths, mask   the sampled sequences, as in llama_torch.py
  options              everything the losses and the optimizer need
  scores               [B], the reward of each sequence, on its last token
  old, reference       [B] lists of log-probabilities, one number per completion token, at the options' temperature. `old` are those of
                       the initial weights, `reference` those of other weights (the initial ones plus noise)
  values               [B] lists: of the value head at the start (ppo)
  advantages, returns  [B] lists: what those give
  steps                ten rows taken before each update, always on the same sequences: loss, policyLoss, klLoss, valueLoss, entropy,
                       approxkl, clipfrac, gradNorm, and `moved`: the distance of every weight from its start, taken after the update
ppo.safetensors, grpo.safetensors   float32: the weights after the tenth update

ppo:   rewards -klCoefficient (old - reference) on each token plus the score on the last; GAE; advantages whitened over all tokens
       (unbiased variance, 1e-8 added to it). loss = policyLoss + valueFactor valueLoss - entropyCoefficient entropy
       policyLoss = token mean of max(-A ratio, -A clamp(ratio, 1 - clipLow, 1 + clipHigh)), entropy = token mean
       valueLoss = half the token mean of max((v - R)^2, (clamp(v, old +- valueClip) - R)^2)
       The value head is a row of C weights on the final hidden states; logits are divided by the temperature.
grpo:  A = (score - mean of its group) / (unbiased deviation + 1e-4), the same on every token; groups are neighbours.
       loss = mean over sequences of the mean over their tokens of (clipped surrogate + klCoefficient k3(new - reference))
       k3(l) = e^-l - 1 + l
Optimizer: torch.optim.AdamW, clip_grad_norm_.
"""

from pathlib import Path

import torch

import llama_torch as lt

PPO = {
    "groupSize": 1, "temperature": 0.8, "clipLow": 0.2, "clipHigh": 0.2, "valueClip": 0.2, "valueFactor": 0.5,
    "entropyCoefficient": 0.02, "klCoefficient": 0.1, "gamma": 0.98, "lambda": 0.9, "lr": 2e-4, "weightDecay": 0.01,
    "betas": [0.9, 0.999], "eps": 1e-6, "maxGradNorm": 1.0,
}
GRPO = {
    "groupSize": 3, "temperature": 1.0, "clipLow": 0.2, "clipHigh": 0.28, "klCoefficient": 0.04, "lr": 2e-4,
    "weightDecay": 0.01, "betas": [0.9, 0.999], "eps": 1e-6, "maxGradNorm": 1.0,
}
STEPS = 10


def hidden_of(w, ids):
    """The final hidden states: `logits_of` with the unit matrix for a head. The embedding is tied, so it is passed as lm_head."""
    return lt.logits_of({**w, "lm_head.weight": torch.eye(lt.C, dtype=torch.float64)}, ids)


def evaluate(w, batch, temperature):
    """[B,T-1] each, for targets ids[:, 1:]: log-probability, entropy, value (0 without a head)."""
    hidden = hidden_of(w, batch["ids"])[:, :-1]
    logp = (hidden @ w["model.embed_tokens.weight"].T / temperature).log_softmax(-1)
    picked = logp.gather(-1, batch["ids"][:, 1:, None])[..., 0]
    entropy = -(logp.exp() * logp).sum(-1)
    head = w.get("value_head.weight")
    return picked, entropy, (hidden @ head[0] if head is not None else torch.zeros_like(picked))


def ragged(x, mask):
    return [row[m > 0].tolist() for row, m in zip(x, mask)]


def gae(rewards, values, gamma, lam):
    advantages = [0.0] * len(rewards)
    for t in range(len(rewards)):
        for k in range(t, len(rewards)):
            following = values[k + 1] if k + 1 < len(values) else 0.0
            advantages[t] += (gamma * lam) ** (k - t) * (rewards[k] + gamma * following - values[k])
    return advantages


def spread(rows, mask):
    """Lists per completion token -> [B,T-1]."""
    out = torch.zeros_like(mask)
    for b, row in enumerate(rows):
        out[b, mask[b] > 0] = torch.tensor(row, dtype=torch.float64)
    return out


def train(name, batch, scores, o, initial, folder):
    mask = batch["mask"][:, 1:]
    tokens = mask.sum()
    with torch.no_grad():
        old, _, values = evaluate(initial, batch, o["temperature"])
        rng = torch.Generator().manual_seed(99)
        noisy = {k: x + 0.02 * torch.randn(x.shape, generator=rng, dtype=torch.float64) for k, x in initial.items()}
        reference = evaluate(noisy, batch, o["temperature"])[0]
    rows = {"old": ragged(old, mask), "reference": ragged(reference, mask)}
    if name == "ppo":
        rows["values"] = ragged(values, mask)
        advantages, returns = [], []
        for lp, ref, v, score in zip(rows["old"], rows["reference"], rows["values"], scores):
            rewards = [-o["klCoefficient"] * (a - b) for a, b in zip(lp, ref)]
            rewards[-1] += score
            a = gae(rewards, v, o["gamma"], o["lambda"])
            advantages.append(a)
            returns.append([x + y for x, y in zip(a, v)])
        flat = torch.tensor([x for row in advantages for x in row], dtype=torch.float64)
        mean, deviation = flat.mean(), torch.sqrt(flat.var(unbiased=True) + 1e-8)
        rows["advantages"] = [[((x - mean) / deviation).item() for x in row] for row in advantages]
        rows["returns"] = returns
    else:
        groups = torch.tensor(scores, dtype=torch.float64).view(-1, o["groupSize"])
        a = (groups - groups.mean(1, keepdim=True)) / (groups.std(1, keepdim=True) + 1e-4)
        rows["advantages"] = [[x] * len(row) for x, row in zip(a.view(-1).tolist(), rows["old"])]
    A = spread(rows["advantages"], mask)
    R = spread(rows["returns"], mask) if name == "ppo" else None

    def loss_of(w):
        lp, entropy, v = evaluate(w, batch, o["temperature"])
        ratio = torch.exp(torch.where(mask > 0, lp - old, torch.zeros_like(lp)))
        plain, clipped = -A * ratio, -A * ratio.clamp(1 - o["clipLow"], 1 + o["clipHigh"])
        surrogate = torch.maximum(plain, clipped)
        row = {
            "entropy": ((entropy * mask).sum() / tokens).item(),
            "approxkl": (((lp - old) ** 2 / 2 * mask).sum() / tokens).item(),
            "clipfrac": (((clipped > plain) * mask).sum() / tokens).item(),
        }
        if name == "ppo":
            policy = (surrogate * mask).sum() / tokens
            bounded = torch.minimum(torch.maximum(v, values - o["valueClip"]), values + o["valueClip"])
            value = 0.5 * (torch.maximum((v - R) ** 2, (bounded - R) ** 2) * mask).sum() / tokens
            bonus = o["entropyCoefficient"] * (entropy * mask).sum() / tokens
            return policy + o["valueFactor"] * value - bonus, {**row, "policyLoss": policy.item(), "valueLoss": value.item()}
        per_sequence = mask / mask.sum(1, keepdim=True) / len(mask)
        l = torch.where(mask > 0, lp - reference, torch.zeros_like(lp))
        kl = o["klCoefficient"] * ((torch.exp(-l) - 1 + l) * per_sequence).sum()
        policy = (surrogate * per_sequence).sum()
        return policy + kl, {**row, "policyLoss": policy.item(), "klLoss": kl.item()}

    w = {k: x.clone().requires_grad_() for k, x in initial.items()}
    matrices, vectors = ([x for x in w.values() if x.dim() == d] for d in (2, 1))
    groups = [{"params": matrices, "weight_decay": o["weightDecay"]}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=o["lr"], betas=tuple(o["betas"]), eps=o["eps"])
    steps = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss, row = loss_of(w)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(list(w.values()), o["maxGradNorm"])
        optimizer.step()
        moved = {k: (x - initial[k]).norm().item() for k, x in w.items()}
        steps.append({"loss": loss.item(), **row, "gradNorm": norm.item(), "moved": moved})
    lt.write_safetensors(folder / f"{name}.safetensors", w)
    first, last = steps[0], steps[-1]
    print(f"{name}: loss {first['loss']:.6f} -> {last['loss']:.6f}, clipped {last['clipfrac']:.3f}, norm {first['gradNorm']:.3f}")
    return {**lt.plain(batch), "options": o, "scores": scores, **rows, "steps": steps}


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(__file__).parent / "ppo_torch"
    folder.mkdir(exist_ok=True)
    initial = lt.random_weights(True, 12)
    rng = torch.Generator().manual_seed(5)
    head = (0.2 * torch.randn((1, lt.C), generator=rng, dtype=torch.float64)).float().double()
    ppo = lt.make_batch([12, 7, 9, 13], [5, 3, 5, 3], 13, 41)
    grpo = lt.make_batch([12, 7, 9, 13, 8, 10], [5, 5, 5, 3, 3, 3], 13, 42, prompt_rows=[0, 0, 0, 3, 3, 3])
    golden = {
        "torch": torch.__version__,
        "padId": lt.PAD,
        "valueHead": head[0].tolist(),
        "ppo": train("ppo", ppo, [1.0, 0.0, 0.5, -0.5], PPO, {**initial, "value_head.weight": head}, folder),
        "grpo": train("grpo", grpo, [1.0, 0.0, 0.25, 0.0, 1.0, 1.0], GRPO, initial, folder),
    }
    lt.write_json(folder / "golden.json", golden)
