/** The selection of the plane: two dimensions, or the first two principal components of the latent means. */

import { add } from "./elements.js";
import { subscript } from "./words.js";

export class Planes {
  constructor(explorer) {
    this.explorer = explorer;
    this.selects = ["across", "up"].map((name, n) => this.filled(explorer.part(name), n));
    explorer.part("axes").addEventListener("change", () => this.set());
  }

  filled(select, n) {
    const { order, facts } = this.explorer.model;
    for (const k of order) {
      const option = add(select, "option");
      option.value = k;
      option.textContent = `z${subscript(k + 1)}${facts.rates ? ` (${facts.rates[k].toFixed(1)})` : ""}`;
    }
    select.value = [...order.slice(0, 2)].sort((i, j) => i - j)[n];
    return select;
  }

  set() {
    const principal = this.explorer.part("principal").checked;
    for (const select of this.selects) select.disabled = principal;
    const [across, up] = this.selects.map((select) => Number(select.value));
    if (principal) this.explorer.stage.setPrincipal();
    else if (across !== up) this.explorer.stage.setAxes(across, up);
  }
}
