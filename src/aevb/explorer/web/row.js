/** Decoded rows: a bar for each column, with the 90 % interval of p(x_j|z). */

import { between, css, diverging, parsed, theme } from "./colors.js";
import { add } from "./elements.js";
import { fitted, sharpen } from "./picture.js";
import { countInterval, ENDS, logNormalInterval, mixtureQuantile, normalInterval } from "./statistics.js";
import { forms, percent, written } from "./words.js";

/** The largest number of columns. */
const COLUMNS = 100;
/** The largest number of values of a column that are listed. */
const MOST = 5;
/** The width of a cell from which its value is written, and the height of a line, in pixels. */
const LEGIBLE = 34;
const LINE = 11;
const TINT = 0.7;
/** The largest factor by which a name is squeezed to fit into its cell. */
const SQUEEZED = 1.3;

export class RowView {
  constructor(element, model) {
    Object.assign(this, { element, model, columns: model.facts.columns.slice(0, COLUMNS), bars: [] });
    this.places = chancePlaces(model.facts.columns);
    for (const column of this.columns) this.bars.push(this.added(column));
  }

  added(column) {
    const line = add(this.element, "li", "bar");
    add(line, "span", "name").textContent = column.name;
    const track = add(line, "span", "track");
    track.setAttribute("aria-hidden", "true");
    const parts = { fill: add(track, "span", "fill"), whisker: add(track, "span", "whisker") };
    if (isCoded(column)) parts.whisker.remove();
    const actual = add(track, "span", "actual");
    return { ...parts, actual, text: add(line, "span", "text"), given: add(line, "span", "given") };
  }

  show(found) {
    this.found = found;
    this.columns.forEach((column, j) => {
      if (isCoded(column)) this.showChances(this.bars[j], column, chancesOf(column, j, found, this.places[j]));
      else this.showNumber(this.bars[j], column, found, j);
    });
  }

  /** Mark the values of an example, or none. */
  mark(values) {
    this.columns.forEach((column, j) => {
      const { actual, given } = this.bars[j];
      const observed = values !== null && !Number.isNaN(values[j]);
      actual.hidden = !observed || isCoded(column);
      given.textContent = !values
        ? ""
        : !observed
          ? "missing"
          : isCoded(column)
            ? `is ${column.values[values[j]]}`
            : `is ${written(column, values[j])}`;
      if (observed) actual.style.left = `${100 * level(column, values[j])}%`;
    });
  }

  showNumber({ fill, whisker, text }, column, found, j) {
    const { chances, remaining, mean } = apartFromSpikes(column, found.mean[j], found, this.places[j]);
    const [least, most] = interval(column, mean, found.spread?.[j], found.stddev?.[j]);
    const share = (value) => 100 * level(column, value);
    fill.style.inset = `0 ${100 - share(mean)}% 0 0`;
    whisker.style.inset = `0 ${100 - share(most)}% 0 ${share(least)}%`;
    const named = column.spikes.map((spike, k) => [spike, chances[k]]).filter(([, chance]) => chance >= 0.01);
    const spikes = named.map(([spike, chance]) => `${written(column, spike)} with ${percent(chance)}, `).join("");
    const other = `${written(column, mean)} (${written(column, least)} to ${written(column, most)})`;
    text.textContent = remaining < 0.01 ? spikes.slice(0, -2) : `${spikes}${spikes && "otherwise "}${other}`;
  }

  showChances({ fill, text }, { kind, values }, chances) {
    const separator = kind === "discrete" ? ":" : "";
    const order = [...chances.keys()].sort((i, j) => chances[j] - chances[i]).slice(0, MOST);
    fill.style.inset = `0 ${100 - 100 * chances[order[0]]}% 0 0`;
    text.textContent = order
      .filter((k, n) => n === 0 || chances[k] >= 0.01)
      .map((k) => `${values[k]}${separator} ${percent(chances[k])}`)
      .join(", ");
  }

  proportion(count) {
    return Math.min(0.8, Math.max(0.12, (this.columns.length * 0.55) / count));
  }

  /** Draw rows as columns of color: numbers on a diverging scale, categories by their color. */
  strip(canvas, means, count, marked = -1) {
    const { context, width, height } = sharpen(canvas);
    const [colors, size] = [theme(), this.columns.length];
    const names = Math.min(130, width * 0.3);
    const [wide, tall] = [(width - names) / count, height / size];
    context.font = `${Math.max(9, Math.min(13, tall * 0.7))}px system-ui, sans-serif`;
    context.textBaseline = "middle";
    this.columns.forEach((column, j) => {
      context.fillStyle = css(colors.ink);
      if (j % Math.ceil(LINE / tall) === 0) context.fillText(column.name, 0, (j + 0.5) * tall, names - 8);
      for (let n = 0; n < count; n++) {
        this.cell(context, column, means[n * this.model.size + j], [names + n * wide, j * tall, wide - 1, tall - 1], colors);
      }
    });
    if (marked < 0) return;
    Object.assign(context, { strokeStyle: css(colors.ink), lineWidth: 2 });
    context.strokeRect(names + marked * wide, 1, wide - 1, height - 2);
  }

  /** Draw a value as color, and as text if there is space. */
  cell(context, column, value, [x, y, width, height], colors) {
    const code = isCoded(column) && Math.round(value);
    const { colors: palette } = this.model.facts;
    const tone = isCoded(column) ? parsed(palette[code % palette.length]) : null;
    const fill = tone ? between(colors.paper, tone, 0.45) : diverging(TINT * (2 * level(column, value) - 1), colors);
    context.fillStyle = css(fill);
    context.fillRect(x, y, width, height);
    if (width < LEGIBLE || height < LINE) return;
    context.fillStyle = css(colors.ink);
    const room = SQUEEZED * (width - 6);
    const texts = tone ? [column.values[code]] : forms(column, value);
    const text = texts.find((form) => context.measureText(form).width <= room) ?? fitted(context, texts.at(-1), room);
    context.fillText(text, x + 4, y + height / 2, width - 6);
  }

  grid(canvas, means, count) {
    this.strip(canvas, means, count);
  }
}

const hasLevels = ({ kind }) => kind === "discrete" || kind === "categorical";
const isCoded = (column) => column.kind === "binary" || hasLevels(column);

/** Return the position of a mean between the lowest and highest value of its column, from 0 to 1. */
export function level(column, mean) {
  const [low, high] = isCoded(column) ? [0, Math.max(1, column.values.length - 1)] : [column.low, column.high];
  return Math.min(1, Math.max(0, (mean - low) / (high - low)));
}

/**
 * Return the offset of the probabilities of each column: of the second value of binary ones, of all values of others,
 * where every column has as many entries as the largest, of zero, and of spikes.
 */
export function chancePlaces(columns) {
  const binary = columns.filter(({ kind }) => kind === "binary").length;
  const listed = columns.filter(hasLevels);
  const most = Math.max(0, ...listed.map(({ values }) => values.length));
  let [two, many, next] = [0, 0, binary + most * listed.length];
  const zeros = new Map();
  columns.forEach((column, j) => column.kind === "nonnegative" && zeros.set(j, next++));
  return columns.map((column, j) => {
    if (column.kind === "binary") return two++;
    if (hasLevels(column)) return binary + most * many++;
    return zeros.get(j) ?? (next += column.spikes.length) - column.spikes.length;
  });
}

/** Return the probabilities of the spikes of a column, that of all other numbers, and the mean of these. */
export function apartFromSpikes({ spikes }, mean, { chances }, place) {
  const own = spikes.map((_, k) => chances[place + k]);
  const remaining = Math.max(1e-3, 1 - own.reduce((sum, chance) => sum + chance, 0));
  const rest = spikes.reduce((sum, spike, k) => sum - spike * own[k], mean);
  return { chances: own, remaining, mean: rest / remaining };
}

/** Return the probability of each value of a column. */
export function chancesOf(column, j, { mean, chances }, place) {
  if (hasLevels(column)) return Array.from(chances.subarray(place, place + column.values.length));
  const second = chances ? chances[place] : mean[j];
  return [1 - second, second];
}

/** Return the 90 % interval of p(x_j|z) by the spread of a column of a table, or by its standard deviation. */
export function interval({ kind, bounds }, mean, spread, stddev, ends = ENDS) {
  if (spread === undefined) return normalInterval(mean, stddev, ends);
  if (kind === "count") return countInterval(mean, spread, ends);
  if (kind === "positive" || kind === "nonnegative") return logNormalInterval(mean, spread, ends);
  const [low, high] = bounds.map((bound, end) => bound ?? (end ? Infinity : -Infinity));
  return normalInterval(mean, spread, ends).map((end) => Math.min(high, Math.max(low, end)));
}

/** Return the 90 % interval of p(x_j|z) of a column of a table, its spikes included. */
export function intervalWithSpikes(column, found, j, place) {
  const { chances, remaining, mean } = apartFromSpikes(column, found.mean[j], found, place);
  const spikes = column.spikes.map((spike, k) => [spike, chances[k]]);
  const quantile = (share) => interval(column, mean, found.spread[j], undefined, [share, share])[0];
  return ENDS.map((share) => mixtureQuantile(share, spikes, remaining, quantile));
}
