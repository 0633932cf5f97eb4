/** Colours that the colour blind can tell apart, and those of the page, by day and by night. */

/** Colour and form of a class: the second ten have another form, and of more than twenty none has its own. */
export function lookOf(label, classes, colours) {
  const known = classes.length > 0 && classes.length <= 2 * colours.length;
  return known
    ? { colour: colours[label % colours.length], form: label < colours.length ? "disc" : "triangle" }
    : { colour: colours[0], form: "disc" };
}

export const parsed = (text) => [1, 3, 5].map((at) => parseInt(text.trim().slice(at, at + 2), 16));

/** The page's colours as numbers, from its style sheet. */
export function theme() {
  const style = getComputedStyle(document.documentElement);
  const names = ["paper", "ink", "soft", "line", "wash", "less", "more", "accent"];
  return Object.fromEntries(names.map((name) => [name, parsed(style.getPropertyValue(`--${name}`))]));
}

export const css = (colour, opacity = 1) => `rgb(${colour.map(Math.round).join(" ")} / ${opacity})`;

export const between = (from, to, share) => from.map((value, i) => value + share * (to[i] - value));

/** A colour for a number in [-1, 1]: paper for 0, towards the one end or the other. */
export const diverging = (share, { paper, less, more }) =>
  between(paper, share < 0 ? less : more, Math.min(1, Math.abs(share)));

export const isDark = () => matchMedia("(prefers-color-scheme: dark)").matches;
