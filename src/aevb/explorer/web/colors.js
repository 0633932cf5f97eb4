/** The colors of the classes, and those of the page in the light and the dark scheme. */

/** Return color and shape of a class: ten colors with two shapes; more than twenty classes share one color. */
export function lookOf(label, classes, colors) {
  const known = classes.length > 0 && classes.length <= 2 * colors.length;
  return known
    ? { color: colors[label % colors.length], form: label < colors.length ? "disc" : "triangle" }
    : { color: colors[0], form: "disc" };
}

export const parsed = (text) => [1, 3, 5].map((at) => parseInt(text.trim().slice(at, at + 2), 16));

/** Return the colors of the page as numbers, from its style sheet. */
export function theme() {
  const style = getComputedStyle(document.documentElement);
  const names = ["paper", "ink", "soft", "line", "wash", "less", "more", "accent"];
  return Object.fromEntries(names.map((name) => [name, parsed(style.getPropertyValue(`--${name}`))]));
}

export const css = (color, opacity = 1) => `rgb(${color.map(Math.round).join(" ")} / ${opacity})`;

export const between = (from, to, share) => from.map((value, i) => value + share * (to[i] - value));

/** Return a color for a number in [-1, 1]: paper for 0, and a diverging scale toward both ends. */
export const diverging = (share, { paper, less, more }) =>
  between(paper, share < 0 ? less : more, Math.min(1, Math.abs(share)));

export const isDark = () => matchMedia("(prefers-color-scheme: dark)").matches;
