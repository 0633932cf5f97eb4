/** Two runs whose pointers move together. */

export function link(explorers, how) {
  explorers.forEach((explorer, n) => {
    const other = explorers[1 - n];
    explorer.addEventListener("moved", () => follow(explorer, other, how()));
  });
}

/** Move the other pointer to the same coordinates in its plane, or to the latent mean of the nearest example. */
export function follow(explorer, other, how) {
  if (how === "example") {
    other.choose(explorer.chosen ?? explorer.nearestExample, { quiet: true });
  } else if (how === "place") {
    other.goToPlace(explorer.stage.place, { quiet: true });
  }
}
