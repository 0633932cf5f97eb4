/** The start of the page: load everything and create an explorer for every run. */

import { facts } from "./content.js";
import { engine } from "./engine.js";
import { Explorer } from "./explorer.js";
import { link } from "./link.js";
import { Model } from "./model.js";
import { Morph } from "./morph.js";
import { Net } from "./net.js";
import { Own } from "./own.js";
import { Planes } from "./axes.js";
import { Samples } from "./samples.js";
import { Classes } from "./classes.js";
import { Sliders } from "./sliders.js";
import { uniforms } from "./statistics.js";
import { Walks } from "./walks.js";

export async function start() {
  const state = document.getElementById("state");
  try {
    const open = await engine();
    const explorers = [];
    for (const [n, each] of facts().entries()) {
      explorers.push(begun(document.getElementById(`run-${n}`), await Model.load(each, open)));
    }
    if (explorers.length > 1) {
      link(explorers, () => document.querySelector("#link input:checked").value);
    }
    globalThis.aevb = { explorers };
    state.remove();
    document.documentElement.dataset.ready = "true";
  } catch (error) {
    state.textContent = `This page could not start: ${error.message}. It requires Chrome 89, Firefox 113, Safari 16.4 or newer.`;
    throw error;
  }
}

function begun(root, model) {
  const explorer = new Explorer(root, model);
  explorer.sections = {
    sliders: new Sliders(explorer),
    planes: model.latent > 2 ? new Planes(explorer) : null,
    classes: new Classes(explorer),
    walks: new Walks(explorer),
    morph: new Morph(explorer),
    samples: new Samples(explorer),
    net: explorer.view.setNet ? new Net(explorer) : null,
    own: explorer.part("own") ? new Own(explorer) : null,
  };
  explorer.sections.morph.random(uniforms(1));
  return explorer;
}
