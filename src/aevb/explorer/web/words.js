/** Numbers as text. */

/** Return text with a typographic minus sign. */
export const minus = (value) => String(value).replace("-", "−");

export const subscript = (number) => String(number).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);

/** Return a number with about three digits; it has separators from 10,000 on, so that a year has none. */
export function short(value, whole = false) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1000 || (whole && (size >= 10 || Number.isInteger(value))))
    return minus(Math.round(value).toLocaleString("en", { useGrouping: size >= 1e4 }));
  return minus(value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2));
}

export const percent = (share) => `${(100 * share).toFixed(share > 0.995 || share < 0.005 ? 1 : 0)} %`;

/** The number of milliseconds from 1970 to the last date of JavaScript. */
const LAST = 8.64e15;

/** Return a value of a column: a date or a time of day as such, any other with about three digits. */
export function written({ instant, whole }, value) {
  if (!instant || !(Math.abs(value * instant.unit) <= LAST)) return short(value, whole);
  return new Date(value * instant.unit).toISOString().replace("T", " ").slice(instant.from, instant.to);
}
