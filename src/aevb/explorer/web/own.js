/** An image of the user's: drawn or dropped, encoded, shown in the plane, reconstructed and scored. */

import { add } from "./elements.js";
import { theme } from "./colours.js";
import { row } from "./linear.js";
import { sharpen, stamp } from "./picture.js";
import { keyed } from "./pointer.js";
import { meanAndError, normals, rate, shareBelow, uniforms } from "./statistics.js";
import { centred, channels, extent, inked, toValues } from "./strokes.js";
import { percent, short } from "./words.js";

const PAD = 280;
const DRAWS = 64;

export class Own {
  constructor(explorer) {
    this.explorer = explorer;
    const [, height, width] = explorer.model.facts.shape;
    this.pad = new OffscreenCanvas(PAD, Math.round((PAD * height) / width));
    this.pen = this.pad.getContext("2d", { willReadFrequently: true });
    this.cursor = [PAD / 2, this.pad.height / 4];
    const part = (name) => explorer.part(name);
    part("clear").addEventListener("click", () => this.clear());
    part("take").addEventListener("click", () => this.take());
    part("file").addEventListener("change", (event) => this.read(event.target.files[0]));
    part("centre")?.addEventListener("change", () => this.changed());
    explorer.addEventListener("recoloured", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(part("pad"));
    this.drop(part("own"));
    this.hand(part("pad"));
    this.clear();
  }

  // What is given.

  clear() {
    this.pen.globalCompositeOperation = "source-over";
    this.pen.fillStyle = "#000";
    this.pen.fillRect(0, 0, this.pad.width, this.pad.height);
    this.blank = true;
    this.explorer.stage.setOwn(null);
    this.draw();
    this.tell([["", "Nothing is drawn yet."]]);
  }

  hand(canvas) {
    let last = null;
    const at = (event) => [
      (event.offsetX / canvas.clientWidth) * PAD,
      (event.offsetY / canvas.clientHeight) * this.pad.height,
    ];
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      last = at(event);
      this.line(last, last);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (last) this.line(last, (last = at(event)));
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (last = null));
    const does = {
      nudge: (x, y) => this.move(x, y, false),
      pan: (x, y) => this.move(-Math.sign(x), -Math.sign(y), true),
    };
    canvas.addEventListener("keydown", (event) => {
      const drawing = event.key === " ";
      if (drawing) this.line(this.cursor, this.cursor);
      if (drawing || (event.key.startsWith("Arrow") && keyed(event, does))) event.preventDefault();
    });
    for (const name of ["focus", "blur"]) canvas.addEventListener(name, () => this.draw());
  }

  /** Move the keyboard's pen, down or not. */
  move(x, y, down) {
    const before = this.cursor;
    const step = PAD / 28;
    this.cursor = [before[0] + step * x, before[1] + step * y].map((value) =>
      Math.max(step, Math.min(PAD - step, value)),
    );
    if (down) this.line(before, this.cursor);
    else this.draw();
  }

  line(from, to) {
    Object.assign(this.pen, { strokeStyle: "#fff", lineWidth: PAD / 14, lineCap: "round" });
    this.pen.beginPath();
    this.pen.moveTo(...from);
    this.pen.lineTo(to[0] + 0.01, to[1]);
    this.pen.stroke();
    this.blank = false;
    this.changed();
  }

  drop(element) {
    element.addEventListener("dragover", (event) => event.preventDefault());
    element.addEventListener("drop", (event) => {
      event.preventDefault();
      this.read(event.dataTransfer.files[0]);
    });
  }

  async read(given) {
    if (!given) return;
    try {
      this.put(await createImageBitmap(given));
    } catch {
      this.tell([["", `${given.name} is no image that this browser can read.`]]);
    }
  }

  take() {
    const { model, chosen, nearestExample } = this.explorer;
    const colours = { paper: [0, 0, 0], ink: [255, 255, 255] };
    this.put(stamp(model.example(chosen ?? nearestExample), model.facts, colours), true);
  }

  /** A picture in place of what is drawn: as large as it goes, whole. */
  put(picture, exact = false) {
    this.clear();
    const scale = Math.min(this.pad.width / picture.width, this.pad.height / picture.height);
    const [width, height] = [picture.width * scale, picture.height * scale];
    this.pen.imageSmoothingEnabled = !exact;
    this.pen.drawImage(picture, (this.pad.width - width) / 2, (this.pad.height - height) / 2, width, height);
    if (this.explorer.model.facts.shades.ink && !exact) this.invert();
    if (exact && this.explorer.part("centre")) this.explorer.part("centre").checked = false;
    this.blank = false;
    this.changed();
  }

  invert() {
    const image = this.pen.getImageData(0, 0, this.pad.width, this.pad.height);
    const grey = channels(image.data, 1);
    const turned = inked(grey);
    if (turned === grey) return;
    this.pen.globalCompositeOperation = "difference";
    this.pen.fillStyle = "#fff";
    this.pen.fillRect(0, 0, this.pad.width, this.pad.height);
    this.pen.globalCompositeOperation = "source-over";
  }

  // What becomes of it.

  /** What the model sees of the pad. */
  get values() {
    const { shape, shades, binarized } = this.explorer.model.facts;
    const [count, height, width] = shape;
    const small = new OffscreenCanvas(width, height);
    const pen = small.getContext("2d");
    pen.imageSmoothingQuality = "high";
    const whole = channels(this.pen.getImageData(0, 0, this.pad.width, this.pad.height).data, 1);
    const drawn = this.explorer.part("centre")?.checked && extent(whole, this.pad.width, this.pad.height);
    const { scale, x, y } = drawn ? centred(drawn, width, height) : { scale: width / this.pad.width, x: 0, y: 0 };
    pen.drawImage(this.pad, x, y, this.pad.width * scale, this.pad.height * scale);
    return toValues(channels(pen.getImageData(0, 0, width, height).data, count), shades, binarized);
  }

  changed() {
    this.draw();
    this.explorer.later("own", () => this.encode(), 60);
  }

  async encode() {
    if (this.blank) return;
    const { model } = this.explorer;
    const x = this.values;
    const { mean, stddev, covariance } = await model.encode(x);
    this.explorer.stage.setOwn(model.facts.posterior === "point" ? null : { mean, stddev, covariance });
    this.explorer.goTo(mean);
    const again = (await model.decode(Float32Array.from(mean))).mean;
    Object.assign(this, { x, again });
    this.draw();
    await this.score(x, mean, stddev, again);
  }

  /** What there is to say of it, each with its name. */
  async score(x, mean, stddev, again) {
    const error = again.reduce((sum, value, i) => sum + (value - x[i]) ** 2, 0);
    const lines = [["squared error", `${short(error)}, of the reconstruction, summed over the image`]];
    const { model } = this.explorer;
    if (model.bounds) lines.unshift(...(await this.bound(x, mean, stddev)));
    this.tell(lines);
  }

  /** The evidence lower bound: log p(x|z) over draws of z from the posterior, less the KL in closed form. */
  async bound(x, mean, stddev) {
    const { model } = this.explorer;
    const noise = normals(uniforms(0), DRAWS * model.latent);
    const z = noise.map((value, i) => mean[i % model.latent] + stddev[i % model.latent] * value);
    const { output } = await model.decode(z);
    const size = output.length / DRAWS;
    const log_likelihoods = [];
    for (let k = 0; k < DRAWS; k++) {
      const given = {
        output: [row(output, size, k), [1, ...this.outputShape(size)]],
        x: [x, [1, ...model.facts.shape]],
      };
      log_likelihoods.push((await model.likelihood.run(given)).log_likelihood[0]);
    }
    const [log_likelihood, stderr] = meanAndError(log_likelihoods);
    const kl = rate(mean, stddev);
    const below = shareBelow(model.bounds, log_likelihood - kl);
    return [
      ["bound (ELBO)", `${short(log_likelihood - kl)} ± ${short(stderr)} nats, over ${DRAWS} draws of z`],
      ["rate (KL)", `${short(kl)} nats`],
      ["distortion", `${short(-log_likelihood)} nats`],
      ["among the data", `higher than the bound of ${percent(below)} of ${model.bounds.length} test examples`],
    ];
  }

  /** Of what the decoder gives: the shape of x, with more channels where the likelihood needs more. */
  outputShape(size) {
    const [, height, width] = this.explorer.model.facts.shape;
    return [size / (height * width), height, width];
  }

  tell(lines) {
    const list = this.explorer.part("verdict");
    list.replaceChildren();
    for (const [title, text] of lines) {
      const line = add(list, "div");
      add(line, "dt").textContent = title;
      add(line, "dd").textContent = text;
    }
  }

  // What is seen.

  draw() {
    const part = (name) => this.explorer.part(name);
    const { context, width, height } = sharpen(part("pad"));
    const { ink, paper } = theme();
    const { shades } = this.explorer.model.facts;
    context.drawImage(this.pad, 0, 0, width, height);
    if (shades.ink) tint(context, width, height, ink, paper);
    if (document.activeElement === part("pad")) this.drawCursor(context, width, height);
    for (const [name, values] of [
      ["seen", this.x],
      ["rebuilt", this.again],
    ]) {
      if (values && !this.blank) this.explorer.view.single(part(name), values);
      else sharpen(part(name));
    }
  }

  drawCursor(context, width, height) {
    const { accent } = theme();
    context.strokeStyle = `rgb(${accent.join(" ")})`;
    context.lineWidth = 2;
    context.beginPath();
    context.arc((this.cursor[0] / PAD) * width, (this.cursor[1] / this.pad.height) * height, width / 28, 0, 7);
    context.stroke();
  }
}

/** White on black to ink on paper. */
function tint(context, width, height, ink, paper) {
  const rgb = (colour) => `rgb(${colour.join(" ")})`;
  const dark = ink[0] < paper[0];
  if (dark) {
    context.globalCompositeOperation = "difference";
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
  }
  const [low, high] = dark ? [ink, paper] : [paper, ink];
  for (const [how, colour] of [
    ["lighten", low],
    ["darken", high],
  ]) {
    context.globalCompositeOperation = how;
    context.fillStyle = rgb(colour);
    context.fillRect(0, 0, width, height);
  }
  context.globalCompositeOperation = "source-over";
}
