/** A slider for each dimension, the most informative first. */

import { add } from "./elements.js";
import { fixed, subscript } from "./words.js";

const MOST = 60;
const REACH = 4;

export class Sliders {
  constructor(explorer) {
    this.explorer = explorer;
    this.lines = explorer.model.order.slice(0, MOST).map((k) => this.added(k));
    explorer.addEventListener("decoded", () => this.show());
  }

  added(k) {
    const { rates, name } = this.explorer.model.facts;
    const line = add(this.explorer.part("sliders"), "li");
    const label = add(line, "label");
    add(label, "span", "name").textContent = `z${subscript(k + 1)}`;
    const input = add(label, "input");
    Object.assign(input, { type: "range", min: -REACH, max: REACH, step: 0.01, value: 0 });
    input.setAttribute("aria-label", `z ${k + 1} of ${name}${rates ? `, KL ${rates[k].toFixed(2)} nats` : ""}`);
    input.addEventListener("input", () => {
      const z = Float32Array.from(this.explorer.z);
      z[k] = Number(input.value);
      this.explorer.goTo(z);
    });
    const output = add(label, "output");
    add(label, "small").textContent = rates ? `${rates[k].toFixed(2)} nats` : "";
    return { k, input, output };
  }

  show() {
    for (const { k, input, output } of this.lines) {
      const value = this.explorer.z[k];
      input.value = value;
      output.textContent = fixed(value, 2);
    }
  }
}
