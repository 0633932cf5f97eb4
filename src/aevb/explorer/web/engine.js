/** ONNX Runtime Web on one thread: networks as functions of named arrays. */

import { file } from "./content.js";

const KEPT = 200;

/** Return a function that loads a network from a file. */
export async function engine() {
  const [source, wasm] = await Promise.all([file("ort.mjs"), file("ort.wasm")]);
  const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const runtime = await import(address);
  URL.revokeObjectURL(address);
  runtime.env.wasm.numThreads = 1;
  runtime.env.wasm.wasmBinary = wasm;
  return async (name) => new Network(runtime, await runtime.InferenceSession.create(await file(name)));
}

/** A network; concurrent calls run one after another. */
export class Network {
  constructor(runtime, session) {
    this.runtime = runtime;
    this.session = session;
    this.last = Promise.resolve();
    this.times = [];
  }

  /**
   * Compute one batch.
   * @param given arrays by name, each with its shape: { z: [values, [count, 2]] }
   * @returns arrays by name
   */
  run(given) {
    const result = this.last.then(() => this.compute(given));
    this.last = result.catch(() => null);
    return result;
  }

  async compute(given) {
    const feeds = {};
    for (const [name, [values, shape]] of Object.entries(given)) {
      feeds[name] = new this.runtime.Tensor("float32", values, shape);
    }
    const start = performance.now();
    const found = await this.session.run(feeds);
    this.noted(performance.now() - start, Object.values(given)[0][1][0]);
    return Object.fromEntries(Object.entries(found).map(([name, tensor]) => [name, tensor.data]));
  }

  noted(milliseconds, count) {
    this.each = milliseconds / count;
    if (count > 1) return;
    this.times.push(milliseconds);
    if (this.times.length > KEPT) this.times.shift();
  }

  /** Return the median time of a single example in milliseconds. */
  get median() {
    const sorted = [...this.times].sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? NaN;
  }
}
