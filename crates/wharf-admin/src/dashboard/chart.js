// Lines over the last minutes, on a canvas. The figures stand in the legend as text: those of now, or of the moment
// that the pointer or the arrow keys are at, which is the same in all charts.

import { WINDOW_MS } from "./history.js";
import { clock } from "./format.js";
import { setText } from "./table.js";

const MARGIN = { left: 62, right: 8, top: 8, bottom: 18 };
const TICKS = 3;
const DASHES = [[], [6, 3], [2, 3]];
// By how many milliseconds keys move the moment that is looked at.
const STEPS = {
  ArrowLeft: -1000, ArrowRight: 1000, PageDown: -10_000, PageUp: 10_000, Home: -Infinity, End: Infinity,
};

// What all charts share: the moment that is looked at, or `null`.
export class Cursor {
  #changed = [];
  at = null;

  onChange(run) {
    this.#changed.push(run);
  }

  set(at) {
    this.at = at;
    for (const run of this.#changed) run();
  }
}

// A step for the axis that is a round number of its unit.
function roundStep(rough, isBinary) {
  const base = isBinary ? 1024 ** Math.max(0, Math.floor(Math.log(rough) / Math.log(1024))) : 10 ** Math.floor(Math.log10(rough));
  const steps = isBinary ? [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] : [1, 2, 5, 10];
  return base * (steps.find((step) => step * base >= rough) ?? steps.at(-1));
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

export class Chart {
  #canvas = element("canvas");
  #labels = element("span", "labels");
  #grid = element("span", "grid");
  #legend;
  #plan;
  #cursor;
  #samples = [];
  #end = 0;

  // `plan`: a title, a format for numbers, the least that the axis goes up to, and lines with their names and keys.
  constructor(parent, plan, cursor) {
    this.#plan = plan;
    this.#cursor = cursor;
    const figure = element("figure", "chart");
    const caption = element("figcaption");
    const legend = element("span", "legend");
    caption.append(element("strong", "", plan.title), this.#labels, this.#grid, legend);
    this.#legend = plan.lines.map(({ name }, at) => this.#entry(legend, name, at));
    this.#canvas.tabIndex = 0;
    this.#canvas.role = "slider";
    this.#canvas.ariaLabel = `${plan.title}: moment`;
    this.#canvas.ariaValueMin = String(-WINDOW_MS / 1000);
    this.#canvas.ariaValueMax = "0";
    figure.append(caption, this.#canvas);
    parent.append(figure);
    this.#listen();
  }

  #entry(legend, name, at) {
    const entry = element("span", "entry");
    const swatch = element("i", `swatch series-${at + 1}`);
    const value = element("span", "value", "–");
    entry.append(swatch, element("span", "name", name), " ", value);
    legend.append(entry);
    return { swatch, value };
  }

  #listen() {
    const canvas = this.#canvas;
    new ResizeObserver(() => this.draw()).observe(canvas);
    canvas.addEventListener("pointermove", ({ offsetX }) => {
      const width = canvas.clientWidth - MARGIN.left - MARGIN.right;
      const share = (offsetX - MARGIN.left) / width;
      this.#cursor.set(share < 0 || share > 1 ? null : this.#end - WINDOW_MS * (1 - share));
    });
    canvas.addEventListener("pointerleave", () => this.#cursor.set(null));
    canvas.addEventListener("blur", () => this.#cursor.set(null));
    canvas.addEventListener("keydown", (event) => {
      const step = STEPS[event.key];
      if (step === undefined && event.key !== "Escape") return;
      event.preventDefault();
      const moved = (this.#cursor.at ?? this.#end) + (step ?? 0);
      const isPast = step !== undefined && moved < this.#end;
      this.#cursor.set(isPast ? Math.max(moved, this.#end - WINDOW_MS) : null);
    });
    this.#cursor.onChange(() => this.draw());
  }

  // Shows what there is, up to a moment.
  show(samples, end) {
    this.#samples = samples;
    this.#end = end;
    this.draw();
  }

  // The sample that is looked at.
  #looked() {
    const { at } = this.#cursor;
    if (at === null) return this.#samples.at(-1);
    const distance = (sample) => Math.abs(sample.at - at);
    const nearest = this.#samples.reduce((best, it) => (best && distance(best) <= distance(it) ? best : it), undefined);
    return nearest && distance(nearest) < 2000 ? nearest : undefined;
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (width === 0) return;
    this.#write();
    const scale = devicePixelRatio;
    const [across, down] = [Math.round(width * scale), Math.round(height * scale)];
    if (this.#canvas.width !== across) this.#canvas.width = across;
    if (this.#canvas.height !== down) this.#canvas.height = down;
    const pen = this.#canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const x = (at) => MARGIN.left + ((at - this.#end) / WINDOW_MS + 1) * (width - MARGIN.left - MARGIN.right);
    const { step, top } = this.#axis();
    const y = (value) => height - MARGIN.bottom - (value / top) * (height - MARGIN.top - MARGIN.bottom);
    this.#drawGrid(pen, x, y, step, top, width);
    this.#plan.lines.forEach(({ key }, at) => this.#drawLine(pen, x, y, key, at));
    this.#drawCursor(pen, x, height);
  }

  #axis() {
    const keys = this.#plan.lines.map(({ key }) => key);
    let most = this.#plan.least;
    for (const { values } of this.#samples) {
      for (const key of keys) most = Math.max(most, values?.[key] ?? 0);
    }
    const step = roundStep(most / TICKS, this.#plan.isBinary);
    return { step, top: step * Math.ceil(most / step - 1e-9) };
  }

  #drawGrid(pen, x, y, step, top, width) {
    const text = getComputedStyle(this.#labels);
    pen.font = `11px ${text.fontFamily}`;
    pen.fillStyle = text.color;
    pen.strokeStyle = getComputedStyle(this.#grid).color;
    pen.lineWidth = 1;
    pen.beginPath();
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (let value = 0; value <= top * 1.001; value += step) {
      const line = Math.round(y(value)) + 0.5;
      pen.moveTo(MARGIN.left, line);
      pen.lineTo(width - MARGIN.right, line);
      pen.fillText(this.#plan.format(value), MARGIN.left - 6, line);
    }
    pen.stroke();
    pen.textBaseline = "alphabetic";
    const minutes = WINDOW_MS / 60_000;
    for (let minute = 0; minute <= minutes; minute += 1) {
      pen.textAlign = minute === 0 ? "right" : minute === minutes ? "left" : "center";
      const label = minute === 0 ? "now" : `−${minute}`;
      pen.fillText(label, x(this.#end - minute * 60_000), y(0) + 14);
    }
  }

  #drawLine(pen, x, y, key, series) {
    pen.strokeStyle = getComputedStyle(this.#legend[series].swatch).color;
    pen.lineWidth = 1.5;
    pen.lineJoin = "round";
    pen.setLineDash(DASHES[series]);
    pen.beginPath();
    let isBegun = false;
    for (const { at, values } of this.#samples) {
      const value = values?.[key];
      if (at < this.#end - WINDOW_MS) continue;
      if (!Number.isFinite(value)) isBegun = false;
      else if (isBegun) pen.lineTo(x(at), y(value));
      else {
        // A dot, in case nothing follows.
        pen.moveTo(x(at) - 0.5, y(value));
        pen.lineTo(x(at), y(value));
        isBegun = true;
      }
    }
    pen.stroke();
    pen.setLineDash([]);
  }

  #drawCursor(pen, x, height) {
    const { at } = this.#cursor;
    if (at === null || at < this.#end - WINDOW_MS) return;
    pen.strokeStyle = getComputedStyle(this.#labels).color;
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(Math.round(x(at)) + 0.5, MARGIN.top);
    pen.lineTo(Math.round(x(at)) + 0.5, height - MARGIN.bottom);
    pen.stroke();
  }

  // The figures of the moment as text.
  #write() {
    const { at } = this.#cursor;
    const sample = this.#looked();
    const told = this.#plan.lines.map(({ name, key }, line) => {
      const text = this.#plan.format(sample?.values?.[key]);
      setText(this.#legend[line].value, text);
      return `${name} ${text}`;
    });
    this.#labels.textContent = at === null ? "" : clock(at);
    const now = at === null ? 0 : Math.round(Math.max(at - this.#end, -WINDOW_MS) / 1000);
    this.#canvas.ariaValueNow = String(now);
    this.#canvas.ariaValueText = `${at === null ? "now" : clock(at)}: ${told.join(", ")}`;
  }
}
