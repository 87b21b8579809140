/**
 * Linear head and log-probability in one: logp[n] = z[n,y] - logsumexp(z[n,:]), z = h w^T, over chunks of the vocabulary,
 * so that at most 32 MiB of logits exist at a time (64 columns at least; one chunk when that is the whole vocabulary) and
 * never their gradient beside them. The backward pass recomputes each chunk and turns it into its gradient in place:
 * dz = dlogp (onehot - softmax), dh += dz w_chunk, dw_chunk += dz^T h.
 */
import foldCode from "../wgsl/token_logprob.wgsl" with { type: "text" };
import finishCode from "../wgsl/token_logprob_finish.wgsl" with { type: "text" };
import backwardCode from "../wgsl/token_logprob_backward.wgsl" with { type: "text" };
import { elements, rows } from "../src/plan/mod.ts";
import { groups, kernel, type Plan, same, type Tensor } from "./kernel.ts";
import { recordNn, recordNt, recordTn } from "./matmul.ts";

const fold = kernel("token_logprob.fold", foldCode, {
  entry: "fold",
  bindings: ["read", "read", "read_write", "read_write"],
  dims: ["N", "W", "first"],
});
const finish = kernel("token_logprob.finish", finishCode, {
  entry: "main",
  bindings: ["read", "read", "read", "read_write", "read_write"],
  dims: ["N"],
});
const gradient = kernel("token_logprob.backward", backwardCode, {
  entry: "main",
  bindings: ["read", "read", "read", "read_write"],
  dims: ["N", "W", "first"],
});

/** Largest scratch of a chunk: it bounds memory, and larger chunks no longer make the products faster. */
const CHUNK_BYTES = 32 << 20;

/**
 * Chunk widths are multiples of 64, so that every chunk of the head starts at a bindable offset. Neither the chunk's rows of
 * the head nor its logits exceed what the adapter binds.
 */
function chunkWidth(N: number, V: number, C: number, bindingBytes: number): number {
  const columns = Math.min(CHUNK_BYTES / (4 * N), bindingBytes / (4 * Math.max(N, C)));
  return Math.min(V, Math.max(64, Math.floor(columns / 64) * 64));
}

export interface TokenLogprob {
  /** [N] */
  logprob: Tensor;
  /** [3,N]: logsumexp, entropy in nats, 1 where the target is the argmax. No gradient flows through it. */
  aux: Tensor;
}

/** h [N,C], w [V,C], targets [N] u32 below V. `chunk` overrides the chunk width (a multiple of 64). */
export function tokenLogprob(plan: Plan, h: Tensor, w: Tensor, targets: Tensor, chunk?: number): TokenLogprob {
  const [V, C] = w.shape;
  const N = elements(targets.shape);
  same("token_logprob.forward", "C", h.shape[h.shape.length - 1], h, C, w);
  same("token_logprob.forward", "N", elements(h.shape) / C, h, N, targets);
  const W = chunk ?? chunkWidth(N, V, C, plan.traits.bindingBytes);
  const chunks = Array.from({ length: Math.ceil(V / W) }, (_, i) => ({ first: i * W, width: Math.min(W, V - i * W) }));
  const logitsOf = ({ first, width }: { first: number; width: number }) => {
    const logits = plan.value("logits", [N, width]);
    const head = rows(w, first, width);
    recordNt(plan, h, head, logits, { M: N, N: width, K: C }, false);
    return { logits, head };
  };

  const stats = plan.value("logprob.stats", [N, 4]);
  const best = plan.value("logprob.best", [N], "u32");
  const logprob = plan.value("logprob", [N]);
  const aux = plan.value("logprob.aux", [3, N]);
  for (const each of chunks) {
    const { logits } = logitsOf(each);
    const dims = { N, W: each.width, first: each.first };
    plan.dispatch(fold, [logits, targets, stats, best], { dims, workgroups: groups(N), flops: 5 * N * each.width });
  }
  plan.dispatch(finish, [stats, best, targets, logprob, aux], { dims: { N }, workgroups: groups(N, 64) });

  plan.op([logprob], [h, w], () => {
    const dLogprob = plan.gradient(logprob);
    const dw = plan.target(w); // once: every chunk writes rows of its own
    for (const each of chunks) {
      const { first, width } = each;
      const { logits, head } = logitsOf(each);
      plan.dispatch(gradient, [targets, aux, dLogprob, logits], {
        dims: { N, W: width, first },
        workgroups: groups(N * width, 64),
        flops: 3 * N * width,
      });
      const dh = plan.target(h);
      if (dh) recordNn(plan, logits, head, dh.tensor, { M: N, N: C, K: width }, dh.add);
      if (dw) recordTn(plan, logits, h, rows(dw.tensor, first, width), { M: width, N: C, K: N }, dw.add);
    }
  });
  return { logprob, aux };
}
