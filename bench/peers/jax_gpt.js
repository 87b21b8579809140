// The jax-js contestant: the whole training step in one jit, as its README and its optax would have it. Plain JavaScript,
// because the package is fetched only for this bench and no type check should need it (bench/peers/packages.ts).
//
// Choices made for its speed: the embedding is a gather forward and a one-hot matmul backward, so the gradient is taken with
// respect to the gathered rows; targets are picked by a comparison that fuses into the reduction; linear weights lie
// [in, out], with which a step of tiny-GPT takes 10 % less on lavapipe than with [out, in].
import { blockUntilReady, defaultDevice, init, jit, nn, numpy as np, valueAndGrad } from "@jax-js/jax";
import { initialWeights, optimizer, weightSpecs } from "./workload.ts";

/** @type {import("./contestant.ts").ContestantModule["create"]} */
export async function create(shape, backend) {
  const devices = await init();
  if (!devices.includes(backend)) throw new Error(`jax-js has no device "${backend}" here, only ${devices.join(", ")}`);
  defaultDevice(backend);

  const { B, T } = shape;
  let weights = [...initialWeights(shape)].map(([name, { data, shape }]) => {
    const w = np.array(data, { shape });
    return shape.length === 2 && !/wte|wpe/.test(name) ? w.transpose() : w;
  });
  let moments = weights.map((w) => np.zeros(w.shape));
  let squares = weights.map((w) => np.zeros(w.shape));
  const trainStep = jit(trainingStep(shape));

  return {
    name: `jax-js 0.1.25 ${backend}`,
    async step({ ids, targets }, index) {
      const ints = (values) => np.array(new Int32Array(values), { dtype: np.int32 });
      const corrections = np.array(
        Float32Array.of(1 - optimizer.beta1 ** (index + 1), 1 - optimizer.beta2 ** (index + 1)),
      );
      const result = trainStep(weights, moments, squares, ints(ids), ints(targets), corrections);
      [weights, moments, squares] = result;
      const [loss] = await result[3].data();
      await blockUntilReady(weights);
      return loss;
    },
  };

  /** (weights, m, v, ids [B T], targets [B T], 1 - beta^t [2]) to [weights, m, v, loss]; every argument is consumed. */
  function trainingStep(shape) {
    const gradient = valueAndGrad(lossOf(shape), { argnums: [0, 1] });
    return (weights, moments, squares, ids, targets, corrections) => {
      const [wte, wpe, ...rest] = weights;
      const rows = wte.ref.slice(ids.ref).reshape([B, T, shape.C]).add(wpe.ref); // wte[ids]
      const [loss, [restGradients, rowsGradient]] = gradient(rest.map((w) => w.ref), rows, targets);
      const wteGradient = np.matmul(oneHot(ids, shape.V).transpose(), rowsGradient.ref.reshape([B * T, shape.C]));
      const gradients = [wteGradient, rowsGradient.sum(0), ...restGradients];
      const updated = weights.map((w, k) => adamw(w, moments[k], squares[k], gradients[k], corrections.ref));
      corrections.dispose();
      return [updated.map(([w]) => w), updated.map(([, m]) => m), updated.map(([, , v]) => v), loss];
    };
  }
}

/** [N, V] of 0 and 1. */
function oneHot(ids, V) {
  return ids.reshape([-1, 1]).equal(np.arange(V)).astype(np.float32);
}

function adamw(w, m, v, g, corrections) {
  const { lr, beta1, beta2, eps, decay } = optimizer;
  const c1 = corrections.ref.slice(0), c2 = corrections.slice(1);
  const newM = m.mul(beta1).add(g.ref.mul(1 - beta1));
  const newV = v.mul(beta2).add(np.square(g).mul(1 - beta2));
  const update = newM.ref.div(c1).div(np.sqrt(newV.ref.div(c2)).add(eps));
  return [w.mul(1 - lr * decay).sub(update.mul(lr)), newM, newV];
}

/** (weights but wte and wpe, embedded rows [B, T, C], targets [B T]) to the mean loss. */
function lossOf(shape) {
  const { B, T, C, H, L, V } = shape;
  const names = weightSpecs(shape).slice(2).map(({ name }) => name);
  return (weights, rows, targets) => {
    const weight = Object.fromEntries(names.map((name, k) => [name, weights[k]]));
    const norm = (x, name) => nn.standardize(x).mul(weight[`${name}.weight`]).add(weight[`${name}.bias`]);
    const product = (x, name) => np.matmul(x, weight[`${name}.weight`]);
    const linear = (x, name) => product(x, name).add(weight[`${name}.bias`]);
    let x = rows.reshape([B * T, C]);
    for (let l = 0; l < L; l++) {
      const layer = `transformer.h.${l}`;
      const qkv = linear(norm(x.ref, `${layer}.ln_1`), `${layer}.attn.c_attn`).reshape([B, T, 3, H, C / H]);
      const part = (k) => (k < 2 ? qkv.ref : qkv).slice([], [], k);
      const attended = nn.dotProductAttention(part(0), part(1), part(2), { isCausal: true }).reshape([B * T, C]);
      x = x.add(linear(attended, `${layer}.attn.c_proj`));
      const hidden = nn.gelu(linear(norm(x.ref, `${layer}.ln_2`), `${layer}.mlp.c_fc`), { approximate: true });
      x = x.add(linear(hidden, `${layer}.mlp.c_proj`));
    }
    const logits = product(norm(x, "transformer.ln_f"), "lm_head");
    return nn.logSoftmax(logits).mul(oneHot(targets, V)).sum().mul(-1 / (B * T));
  };
}
