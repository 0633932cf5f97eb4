/** Numbers as text. */

/** Return text with a typographic minus sign. */
export const minus = (value) => String(value).replace("-", "−");

export const subscript = (number) => String(number).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);

/** Return a number with about three digits. */
export function short(value, whole = false) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1000 || (whole && (size >= 10 || Number.isInteger(value))))
    return minus(Math.round(value).toLocaleString("en"));
  return minus(value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2));
}

export const percent = (share) => `${(100 * share).toFixed(share > 0.995 || share < 0.005 ? 1 : 0)} %`;
