/**
 * Linear head and log-probability in one: logp[n] = z[n,y] - logsumexp(z[n,:]), z = h w^T, over chunks of the vocabulary,
 * so that at most 32 MiB of logits exist at a time (64 columns at least) and never their gradient beside them. The
 * backward pass turns each chunk into its gradient in place: dz = dlogp (onehot - softmax), dh += dz w_chunk,
 * dw_chunk += dz^T h. Where one chunk is the whole vocabulary, its logits are kept for that; of several, each is computed again.
 */
import foldCode from "../wgsl/token_logprob.wgsl" with { type: "text" };
import backwardCode from "../wgsl/token_logprob_backward.wgsl" with { type: "text" };
import backwardAuxCode from "../wgsl/token_logprob_backward_aux.wgsl" with { type: "text" };
import { elements, type Op, power, rows } from "../src/plan/mod.ts";
import { groups, lanesOf, type Plan, same, type Tensor, widths } from "./kernel.ts";
import { recordNn, recordNt, recordTn } from "./matmul.ts";

const foldKernels = widths("token_logprob.fold", foldCode, {
  entry: "fold",
  bindings: ["read", "read", "read", "read_write", "read_write", "read_write", "read_write"],
  dims: ["N", "W", "first"],
});
const gradient = widths("token_logprob.backward", backwardCode, {
  entry: "main",
  bindings: ["read", "read", "read", "read_write"],
  dims: ["N", "W", "first"],
});
const gradientWithAux = widths("token_logprob.backward_aux", backwardAuxCode, {
  entry: "main",
  bindings: ["read", "read", "read", "read", "read_write"],
  dims: ["N", "W", "first"],
});

interface FoldSizes {
  N: number;
  /** Tokens of the chunk, and the first of them. */
  W: number;
  first: number;
  last: boolean;
}

/** `size` invocations a workgroup, `team` of them fold a row. */
function foldVariant(name: string, size: number, team: number) {
  return {
    name,
    fits: () => true,
    record(plan: Plan, [logits, targets, ...state]: readonly Tensor[], { N, W, first, last }: FoldSizes) {
      plan.dispatch(foldKernels[lanesOf(W)], [logits, logits, targets, ...state], {
        dims: { N, W, first },
        constants: { SIZE: size, TEAM: team, FIRST: Number(first === 0), LAST: Number(last) },
        workgroups: groups(N, size / team),
        flops: 6 * N * W,
      });
    },
  };
}

/** logits, targets -> stats, best (not by the last chunk), logprob, aux (by the last one). */
const foldOp: Op<FoldSizes> = {
  name: "token_logprob.fold",
  writes: [2, 3, 4, 5],
  shapeClass: ({ N, W }) => `${power(N)}x${power(W)}`,
  variants: [
    foldVariant("workgroup a row", 64, 64),
    foldVariant("invocation a row", 32, 1),
    foldVariant("large workgroup a row", 256, 256),
  ],
  prefer: ({ W }, { software }) =>
    software ? "invocation a row" : W >= 4096 ? "large workgroup a row" : "workgroup a row",
};

/** Largest scratch of a chunk: it bounds memory, and larger chunks no longer make the products faster. */
const CHUNK_BYTES = 32 << 20;

/**
 * Chunk widths are multiples of 64, so that every chunk of the head starts at a bindable offset. Neither the chunk's rows of
 * the head nor its logits exceed what the adapter binds.
 */
function chunkWidth(N: number, V: number, C: number, bindingBytes: number): number {
  const columns = Math.min(CHUNK_BYTES / (4 * N), bindingBytes / (4 * Math.max(N, C)));
  const width = Math.max(64, Math.floor(columns / 64) * 64);
  // Products four columns at a time take an odd vocabulary but for its last few tokens.
  return width < V ? width : V % 4 === 0 || V < 64 ? V : Math.floor(V / 64) * 64;
}

export interface TokenLogprob {
  /** [N] */
  logprob: Tensor;
  /** [3,N]: logsumexp, entropy in nats, 1 where the target is the argmax. No gradient flows through it unless that is asked for. */
  aux: Tensor;
}

/**
 * h [N,C], w [V,C], targets [N] u32 below V. `chunk` overrides the chunk width (a multiple of 64). With `auxGradient` the loss
 * depends on `aux` too, as with an entropy bonus: a gradient must then reach both.
 */
export function tokenLogprob(
  plan: Plan,
  h: Tensor,
  w: Tensor,
  targets: Tensor,
  chunk?: number,
  auxGradient = false,
): TokenLogprob {
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

  // What one chunk leaves to the next.
  const stats = plan.value("logprob.stats", chunks.length > 1 ? [N, 4] : [4]);
  const best = plan.value("logprob.best", chunks.length > 1 ? [N] : [1], "u32");
  const logprob = plan.value("logprob", [N]);
  const aux = plan.value("logprob.aux", [3, N]);
  let kept: ReturnType<typeof logitsOf> | null = null;
  for (const each of chunks) {
    const { first, width } = each;
    const found = logitsOf(each);
    const last = first + width === V;
    plan.variant(foldOp, [found.logits, targets, stats, best, logprob, aux], { N, W: width, first, last });
    if (chunks.length === 1) kept = found;
  }

  plan.op(auxGradient ? [logprob, aux] : [logprob], [h, w], () => {
    const dLogprob = plan.gradient(logprob);
    const dAux = auxGradient ? plan.gradient(aux) : null;
    const dw = plan.target(w); // once: every chunk writes rows of its own
    for (const each of chunks) {
      const { first, width } = each;
      const { logits, head } = kept ?? logitsOf(each);
      const kernels = dAux ? gradientWithAux : gradient;
      const given = dAux ? [targets, aux, dLogprob, dAux] : [targets, aux, dLogprob];
      plan.dispatch(kernels[lanesOf(width)], [...given, logits], {
        dims: { N, W: width, first },
        workgroups: groups(N),
        flops: (dAux ? 7 : 3) * N * width,
      });
      const dh = plan.target(h);
      if (dh) recordNn(plan, logits, head, dh.tensor, { M: N, N: C, K: width }, dh.add);
      if (dw) recordTn(plan, logits, h, rows(dw.tensor, first, width), { M: width, N: C, K: N }, dw.add);
    }
  });
  return { logprob, aux };
}
