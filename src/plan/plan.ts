/**
 * A plan is a recording: kernels are called on symbolic tensors once, and every call appends dispatches.
 * `backward` walks the recorded ops in reverse and lets each gradient rule record more. Nothing runs before `compile`.
 */
import { byteLength, type DType, newStorage, type Shape, showTensor, type Storage, type Tensor } from "./tensor.ts";
import { PORTABLE, type Recorder, type Traits } from "./traits.ts";
import { fitting, type Op, type Pick } from "./variants.ts";

export type Access = "read" | "write" | "read_write";

/** One entry point of one WGSL file. Binding 0 is the uniform `dims`; tensors follow in the order of `bindings`. */
export interface Kernel {
  readonly name: string;
  /** Complete WGSL text. */
  readonly code: string;
  readonly entry: string;
  readonly bindings: readonly Access[];
  /** Fields of `struct Dims`, in order. */
  readonly dims: readonly (readonly [name: string, type: "u32" | "f32"])[];
}

export interface Dispatch {
  readonly kernel: Kernel;
  readonly tensors: readonly Tensor[];
  readonly dims: Readonly<Record<string, number>>;
  readonly constants: Readonly<Record<string, number>>;
  readonly workgroups: readonly [number, number, number];
  /** Floating point operations, multiply and add counted apart. */
  readonly flops: number;
}

/** Where a gradient rule writes: `add` is true if the place already holds a partial sum. */
interface GradientTarget {
  readonly tensor: Tensor;
  readonly add: boolean;
}

interface TapeEntry {
  readonly outputs: readonly Tensor[];
  readonly backward: () => void;
}

/** The limit that every adapter has. */
const MOST_WORKGROUPS = 65535;

export class Plan {
  readonly dispatches: Dispatch[] = [];
  readonly kept = new Set<Storage>();
  /** Every use of an op that has variants, in order. */
  readonly picks: Pick[] = [];
  /** Where the backward pass begins among the dispatches, once it is recorded. */
  backwardStart: number | null = null;
  private tape: TapeEntry[] = [];
  private gradients = new Map<Storage, Tensor>();

  /** `recorder` says for which adapter; without one, for the least that every adapter has. */
  constructor(readonly name: string, private readonly recorder: Recorder = PORTABLE) {}

  get traits(): Traits {
    return this.recorder.traits;
  }

  /** A fresh value in shared memory. */
  value(name: string, shape: Shape, dtype: DType = "f32"): Tensor {
    const bytes = byteLength({ shape, dtype });
    const storage = newStorage({ kind: "value", name, bytes, needsGrad: false });
    return { name, shape, dtype, storage, offset: 0 };
  }

  dispatch(
    kernel: Kernel,
    tensors: readonly Tensor[],
    options: {
      dims: Record<string, number>;
      workgroups: readonly [number, number, number];
      constants?: Record<string, number>;
      flops?: number;
    },
  ): void {
    if (tensors.length !== kernel.bindings.length) {
      throw new Error(
        `Cannot record ${kernel.name}: ${tensors.length} tensors for ${kernel.bindings.length} bindings`,
      );
    }
    for (const [name] of kernel.dims) {
      if (!Number.isFinite(options.dims[name])) {
        throw new Error(`Cannot record ${kernel.name}: dim ${name} is ${options.dims[name]}`);
      }
    }
    const { bindingBytes } = this.traits;
    const beyond = tensors.find((tensor) => byteLength(tensor) > bindingBytes);
    if (beyond) {
      const [bytes, limit] = [byteLength(beyond), bindingBytes].map((n) => `${(n / 1e6).toPrecision(3)} MB`);
      const advice = beyond.storage.kind === "value"
        ? "use a smaller micro-batch or shorter sequences"
        : "split it by rows";
      throw new Error(
        `Cannot record ${kernel.name}: ${
          showTensor(beyond)
        } takes ${bytes}, this adapter binds at most ${limit}; ${advice}`,
      );
    }
    const { dims, workgroups, constants = {}, flops = 0 } = options;
    if (workgroups.some((count) => count > MOST_WORKGROUPS)) {
      throw new Error(
        `Cannot record ${kernel.name}: ${workgroups.join(" x ")} workgroups, at most ${MOST_WORKGROUPS} fit a side; ` +
          `use a smaller micro-batch`,
      );
    }
    this.dispatches.push({ kernel, tensors, dims, constants, workgroups, flops });
  }

  /** Records an op by the variant that its adapter and shape class call for. */
  variant<Sizes>(op: Op<Sizes>, tensors: readonly Tensor[], sizes: Sizes): void {
    const names = fitting(op, sizes, this.traits);
    if (names.length === 0) {
      throw new Error(`Cannot record ${op.name}: no variant fits ${tensors.map(showTensor).join(", ")}`);
    }
    const shapeClass = op.shapeClass(sizes);
    const variant = this.recorder.choices.pick(op.name, shapeClass, names, op.prefer(sizes, this.traits));
    this.picks.push({ op: op as Op, shapeClass, variant, tensors, sizes });
    op.variants.find(({ name }) => name === variant)!.record(this, tensors, sizes);
  }

  /** Ends the recording of one op: its outputs, what they depend on, and the rule that records its gradient. */
  op(outputs: readonly Tensor[], inputs: readonly Tensor[], backward: () => void): void {
    if (!inputs.some((input) => input.storage.needsGrad)) return;
    for (const output of outputs) output.storage.needsGrad = true;
    this.tape.push({ outputs, backward });
  }

  /** The gradient that has reached an output, for use inside a gradient rule. */
  gradient(tensor: Tensor): Tensor {
    requireWhole(tensor);
    const known = this.gradients.get(tensor.storage);
    if (!known) throw new Error(`Cannot record the gradient of ${showTensor(tensor)}: none has reached it`);
    return { ...known, name: `d_${tensor.name}`, shape: tensor.shape };
  }

  /**
   * Where the gradient of an input goes, or null if nothing asks for it. Weights always accumulate, parts of them too; a
   * value has one gradient for all of it, so a rule that writes it in parts takes rows of the target.
   */
  target(tensor: Tensor): GradientTarget | null {
    const { storage } = tensor;
    if (!storage.needsGrad) return null;
    if (storage.gradient) {
      return { tensor: { ...tensor, name: `d_${tensor.name}`, storage: storage.gradient }, add: true };
    }
    requireWhole(tensor);
    const known = this.gradients.get(storage);
    if (known) return { tensor: { ...known, shape: tensor.shape }, add: true };
    const created = this.value(`d_${tensor.name}`, tensor.shape);
    this.gradients.set(storage, created);
    return { tensor: created, add: false };
  }

  /**
   * Passes the gradient of an output on to an input unchanged (a residual), as the last thing of a gradient rule: nobody
   * reads it after that, so the input may take over its memory and later rules add to it there. Returns where it is
   * to be copied or added where that can't be, and null if nothing is left to do.
   */
  passGradient(output: Tensor, input: Tensor): GradientTarget | null {
    const { storage } = input;
    if (!storage.needsGrad) return null;
    const passed = this.gradient(output);
    // The gradient of a loss by itself is an input that holds 1, and is not to be added to.
    if (storage.gradient || this.gradients.has(storage) || passed.storage.kind !== "value") return this.target(input);
    requireWhole(input);
    this.gradients.set(storage, { ...passed, shape: input.shape });
    return null;
  }

  /** Records the backward pass of a scalar. `one` is a tensor that holds 1, the gradient of the loss by itself. */
  backward(loss: Tensor, one: Tensor): void {
    if (byteLength(loss) !== 4) throw new Error(`Cannot record the backward pass: ${showTensor(loss)} is no scalar`);
    this.backwardFrom(loss, one);
  }

  /** Records the backward pass of any output of which the gradient is known: a part of a model, another plan's gradient. */
  backwardFrom(output: Tensor, gradient: Tensor): void {
    requireWhole(output);
    if (output.shape.join() !== gradient.shape.join()) {
      throw new Error(`Cannot record the backward pass: ${showTensor(output)} with gradient ${showTensor(gradient)}`);
    }
    this.backwardStart = this.dispatches.length;
    this.gradients.set(output.storage, gradient);
    this.unwind(this.tape);
    this.tape = [];
  }

  /** For passes that rewrite a recorded plan (compress.ts, rematerialize.ts): all dispatches, and where the backward pass begins. */
  replaceDispatches(dispatches: readonly Dispatch[], backwardStart: number): void {
    this.dispatches.splice(0, this.dispatches.length, ...dispatches);
    this.backwardStart = backwardStart;
  }

  /**
   * Runs `block` without keeping its inner values for the backward pass, which records the block a second time instead:
   * activation memory of one block for one more forward pass. The bits are the same either way.
   */
  recompute(block: () => Tensor): Tensor {
    const outer = this.tape;
    this.tape = [];
    const output = block();
    const differentiable = output.storage.needsGrad;
    this.tape = outer;
    if (differentiable) {
      this.tape.push({
        outputs: [output],
        backward: () => {
          const resumed = this.tape;
          this.tape = [];
          const start = this.dispatches.length;
          const again = block();
          const end = this.dispatches.length;
          this.gradients.set(again.storage, this.gradient(output));
          this.unwind(this.tape);
          this.tape = resumed;
          this.dropUnread(start, end);
        },
      });
    }
    return output;
  }

  /** Takes back those of the dispatches [start, end) that only write values which nothing behind them binds. */
  private dropUnread(start: number, end: number): void {
    const needed = new Set(this.dispatches.slice(end).flatMap(({ tensors }) => tensors.map(({ storage }) => storage)));
    for (let i = end - 1; i >= start; i--) {
      const { kernel, tensors } = this.dispatches[i];
      const written = tensors.filter((_, k) => kernel.bindings[k] !== "read");
      if (written.every(({ storage }) => storage.kind === "value" && !needed.has(storage))) {
        this.dispatches.splice(i, 1);
      } else for (const { storage } of tensors) needed.add(storage);
    }
  }

  /** Keeps a value's memory to itself until the end of the plan, so that it can be read back. */
  keep(tensor: Tensor): Tensor {
    this.kept.add(tensor.storage);
    return tensor;
  }

  private unwind(tape: readonly TapeEntry[]): void {
    for (let i = tape.length - 1; i >= 0; i--) {
      if (tape[i].outputs.some((output) => this.gradients.has(output.storage))) tape[i].backward();
    }
  }
}

/** Gradients of values are kept by storage: a part would pass for the whole. */
function requireWhole(tensor: Tensor): void {
  if (tensor.offset !== 0 || byteLength(tensor) !== tensor.storage.bytes) {
    throw new Error(`Cannot record the gradient of ${showTensor(tensor)}: it is a part of a value`);
  }
}
