/** Numbers as text. */

/** Return text with a typographic minus sign. */
export const minus = (value) => String(value).replace("-", "−");

export const subscript = (number) => String(number).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);

/** Return a number with a fixed number of decimals, and no sign if all of them are 0. */
export const fixed = (value, decimals) => minus(value.toFixed(decimals).replace(/^-(?=[0.]*$)/, ""));

/** The largest number of decimals. */
const DECIMALS = 8;

/**
 * Return a number with three significant digits; it has separators from 10,000 on, so that a year has none.
 * @param scale the range of the numbers beside it: digits far below it are omitted
 */
export function short(value, whole = false, scale = 0) {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1000 || (whole && (size >= 10 || Number.isInteger(value))))
    return minus(Math.round(value).toLocaleString("en", { useGrouping: size >= 1e4 }));
  const decimals = 2 - Math.floor(Math.log10(Math.max(size, scale)));
  if (decimals > DECIMALS && size > 0) return minus(value.toExponential(2));
  return fixed(value, Math.max(0, Math.min(decimals, DECIMALS)));
}

export const percent = (share) => `${(100 * share).toFixed(share > 0.995 || share < 0.005 ? 1 : 0)} %`;

/** The number of milliseconds from 1970 to the last date of JavaScript. */
const LAST = 8.64e15;

/** Return a value of a column: a date or a time of day as such, rounded to its unit, any other with about three digits. */
export function written({ instant, whole, kind, low, high }, value) {
  // Columns of several orders of magnitude, such as positive ones, have no common last digit.
  const scale = kind === "real" || kind === "bounded" ? (high - low) / 10 : 0;
  if (!instant || !(Math.abs(value * instant.unit) <= LAST)) return short(value, whole, scale);
  return new Date(Math.round(value) * instant.unit).toISOString().replace("T", " ").slice(instant.from, instant.to);
}

/** Return the forms of a value of a column, the longest first: a date with its time, without it, and of the month. */
export function forms(column, value) {
  const text = written(column, value);
  return column.instant?.from === 0 ? [text, text.slice(0, 10), text.slice(0, 7)] : [text];
}
