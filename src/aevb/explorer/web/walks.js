/** Latent traversals: a strip for each dimension, with all other dimensions fixed. */

import { add } from "./elements.js";
import { subscript } from "./words.js";

const REACH = 3;
const STEPS = 13;
const MOST = 10;
/** The least KL of an active dimension, in nats. */
const ACTIVE = 0.01;

export class Walks {
  constructor(explorer) {
    this.explorer = explorer;
    const { order, facts } = explorer.model;
    const isActive = (k) => !facts.rates || facts.rates[k] >= ACTIVE;
    const walks = explorer.part("walks");
    this.strips = order.filter(isActive).slice(0, MOST).map((k) => this.added(walks, k));
    this.inactive(order.filter((k) => !isActive(k)));
    explorer.addEventListener("decoded", () => explorer.later("walks", () => this.show()));
    explorer.addEventListener("recolored", () => this.show());
  }

  /** Add the strips of inactive dimensions, which are hidden until they are opened. */
  inactive(dimensions) {
    const details = this.explorer.part("inactive");
    details.hidden = dimensions.length === 0;
    const count = `${dimensions.length} inactive dimension${dimensions.length === 1 ? "" : "s"}`;
    details.querySelector("summary").textContent = `${count}: KL below ${ACTIVE} nats`;
    for (const k of dimensions.slice(0, MOST)) {
      this.strips.push({ ...this.added(details.querySelector("div"), k), details });
    }
    details.addEventListener("toggle", () => this.show());
  }

  added(element, k) {
    const figure = add(element, "figure");
    const caption = add(figure, "figcaption");
    caption.textContent = `z${subscript(k + 1)}`;
    const canvas = add(figure, "canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Decoded while z ${k + 1} goes from −${REACH} to ${REACH}`);
    const shape = () => `${1 / this.explorer.view.proportion(STEPS)}`;
    canvas.style.aspectRatio = shape();
    canvas.addEventListener("click", (event) => {
      const share = event.offsetX / canvas.clientWidth;
      const z = Float32Array.from(this.explorer.z);
      z[k] = this.valueAt(Math.min(STEPS - 1, Math.floor(share * STEPS)));
      if (this.explorer.model.facts.view === "image") this.explorer.goTo(z);
    });
    return { k, canvas };
  }

  valueAt(step) {
    return REACH * ((2 * step) / (STEPS - 1) - 1);
  }

  async show() {
    const { model, view, z } = this.explorer;
    for (const { k, canvas, details } of this.strips) {
      if (details && !details.open) continue;
      const rows = new Float32Array(STEPS * model.latent);
      for (let step = 0; step < STEPS; step++) {
        rows.set(z, step * model.latent);
        rows[step * model.latent + k] = this.valueAt(step);
      }
      const { mean } = await model.decode(rows);
      const here = Math.round((z[k] / REACH + 1) * ((STEPS - 1) / 2));
      view.strip(canvas, mean, STEPS, here >= 0 && here < STEPS ? here : -1);
    }
  }
}
