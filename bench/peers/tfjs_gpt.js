// The TensorFlow.js contestant: variableGrads inside tidy, fused matmul with bias, the library's own Adam. Plain JavaScript,
// because the packages are fetched only for this bench and no type check should need them (bench/peers/packages.ts).
//
// Choices made for its speed: the gradient of the embedding is a one-hot matmul (the library's own scatter of a gather has
// no WebGPU kernel), heads are split in one transpose, and the loss is the library's fused softmax cross-entropy.
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-core/dist/register_all_gradients.js";
import "@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops.js";
import "@tensorflow/tfjs-backend-webgpu";
import { initialWeights, optimizer } from "./workload.ts";

/** @type {import("./contestant.ts").ContestantModule["create"]} */
export async function create(shape, backend) {
  if (!tf.env().platform) tf.env().setPlatform("deno", platform);
  if (!await tf.setBackend(backend)) throw new Error(`TensorFlow.js has no backend "${backend}" here`);
  await tf.ready();

  const { B, T, C, H, L, V } = shape;
  const { lr, beta1, beta2, eps, decay } = optimizer;
  const variables = [...initialWeights(shape)].map(([name, { shape, data }]) =>
    tf.variable(tf.tensor(data, shape), true, name)
  );
  const weight = Object.fromEntries(variables.map((variable) => [variable.name, variable]));
  const adam = tf.train.adam(lr, beta1, beta2, eps);
  const mask = tf.tidy(() => tf.sub(1, tf.linalg.bandPart(tf.ones([T, T]), -1, 0)).mul(-1e30)); // 0 on and below the diagonal

  const linear = (x, name, bias = weight[`${name}.bias`]) =>
    tf.fused.matMul({ a: x, b: weight[`${name}.weight`], transposeB: true, bias });
  const norm = (x, name) => {
    const { mean, variance } = tf.moments(x, -1, true);
    return x.sub(mean).mul(variance.add(1e-5).rsqrt()).mul(weight[`${name}.weight`]).add(weight[`${name}.bias`]);
  };
  const gelu = (x) => x.mul(0.5).mul(x.mul(x.square().mul(0.044715).add(1)).mul(Math.sqrt(2 / Math.PI)).tanh().add(1));

  const embed = tf.customGrad((wte, ids, save) => {
    save([ids]);
    const gradFunc = (dy, [ids]) => [tf.matMul(tf.oneHot(ids, V), dy, true), tf.zerosLike(ids)];
    return { value: tf.gather(wte, ids), gradFunc };
  });

  function lossOf(ids, targets) {
    const rows = embed(weight["transformer.wte.weight"], ids);
    let x = rows.reshape([B, T, C]).add(weight["transformer.wpe.weight"]).reshape([B * T, C]);
    for (let l = 0; l < L; l++) {
      const layer = `transformer.h.${l}`;
      const qkv = linear(norm(x, `${layer}.ln_1`), `${layer}.attn.c_attn`);
      const [q, k, v] = tf.split(qkv.reshape([B, T, 3 * H, C / H]).transpose([0, 2, 1, 3]), 3, 1); // each [B, H, T, D]
      const scores = tf.matMul(q, k, false, true).mul(1 / Math.sqrt(C / H)).add(mask);
      const attended = tf.matMul(tf.softmax(scores), v).transpose([0, 2, 1, 3]).reshape([B * T, C]);
      x = x.add(linear(attended, `${layer}.attn.c_proj`));
      x = x.add(linear(gelu(linear(norm(x, `${layer}.ln_2`), `${layer}.mlp.c_fc`)), `${layer}.mlp.c_proj`));
    }
    const logits = linear(norm(x, "transformer.ln_f"), "lm_head", undefined);
    return tf.losses.softmaxCrossEntropy(tf.oneHot(targets, V), logits);
  }

  return {
    name: `TensorFlow.js ${tf.version_core} ${backend}`,
    async step({ ids, targets }) {
      const loss = tf.tidy(() => {
        const { value, grads } = tf.variableGrads(() =>
          lossOf(tf.tensor1d(new Int32Array(ids), "int32"), tf.tensor1d(new Int32Array(targets), "int32"))
        );
        for (const variable of variables) variable.assign(variable.mul(1 - lr * decay));
        adam.applyGradients(grads);
        return value;
      });
      const [number] = await loss.data(); // behind all the step's work in the queue
      loss.dispose();
      return number;
    },
  };
}

// What the library asks of a platform and brings itself for browsers and Node only.
const platform = {
  now: () => performance.now(),
  encode: (text) => new TextEncoder().encode(text),
  decode: (bytes) => new TextDecoder().decode(bytes),
  setTimeoutCustom: (task, delayMs) => setTimeout(task, delayMs),
  isTypedArray: (value) => ArrayBuffer.isView(value) && !(value instanceof DataView),
};
