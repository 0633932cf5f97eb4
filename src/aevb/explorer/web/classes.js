/** One button per class that shows or hides its examples; a single button if the classes share one color. */

import { add } from "./elements.js";

export class Classes {
  constructor(explorer) {
    this.explorer = explorer;
    const { facts, labels } = explorer.model;
    const present = [...new Set(labels ?? [0])].sort((one, other) => one - other);
    const distinct = labels && facts.classes.length <= 2 * facts.colors.length;
    if (!distinct) this.add(present, "test examples");
    else for (const label of present) this.add([label], facts.classes[label]);
  }

  add(labels, name) {
    const { stage } = this.explorer;
    const { plane } = stage;
    const { color, form } = plane.lookOf(labels[0]);
    const button = add(this.explorer.part("classes"), "button");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    add(button, "i", form).style.background = color;
    add(button, "span").textContent = name;
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") === "true";
      button.setAttribute("aria-pressed", String(!shown));
      for (const label of labels) plane.hidden[shown ? "add" : "delete"](label);
      stage.drawScene();
    });
  }
}
