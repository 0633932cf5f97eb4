/** A button for each class, which shows and hides its examples; one for all where they have no look of their own. */

import { add } from "./elements.js";

export class Classes {
  constructor(explorer) {
    this.explorer = explorer;
    const { facts, labels } = explorer.model;
    const found = [...new Set(labels ?? [0])].sort((one, other) => one - other);
    const told = labels && facts.classes.length <= 2 * facts.colours.length;
    if (!told) this.add(found, "test examples");
    else for (const label of found) this.add([label], facts.classes[label]);
  }

  add(labels, name) {
    const { stage } = this.explorer;
    const { plane } = stage;
    const { colour, form } = plane.lookOf(labels[0]);
    const button = add(this.explorer.part("classes"), "button");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    add(button, "i", form).style.background = colour;
    add(button, "span").textContent = name;
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") === "true";
      button.setAttribute("aria-pressed", String(!shown));
      for (const label of labels) plane.hidden[shown ? "add" : "delete"](label);
      stage.drawScene();
    });
  }
}
