// Numbers for people, each with its unit. What is not known is a dash.

const UNKNOWN = "–";
const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

// Three digits that count.
function short(number) {
  if (number === 0) return "0";
  const digits = number >= 99.95 ? 0 : number >= 9.995 ? 1 : 2;
  return String(Number(number.toFixed(digits)));
}

function scaled(number, step, units) {
  let at = 0;
  while (number >= step * 0.9995 && at + 1 < units.length) {
    number /= step;
    at += 1;
  }
  return `${short(number)} ${units[at]}`.trim();
}

const known = (format) => (number) => (Number.isFinite(number) ? format(number) : UNKNOWN);

// 12,345
export const count = known((number) => grouped.format(number));
// 12.3 k
export const amount = known((number) => scaled(number, 1000, ["", "k", "M", "G", "T"]));
// 12.3 k/s
export const perSecond = known((number) => `${amount(number)}/s`);
// 12.3 KiB
export const bytes = known((number) => scaled(number, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]));
// 12.3 KiB/s
export const bytesPerSecond = known((number) => `${bytes(number)}/s`);
// 12.3 ms
export const seconds = known((number) => {
  if (number >= 0.9995) return `${short(number)} s`;
  return scaled(number * 1e6, 1000, ["µs", "ms"]);
});
// 3 h 12 min: the two largest parts.
export const duration = known((number) => {
  if (number < 60) return `${number < 10 ? number.toFixed(1) : Math.floor(number)} s`;
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = parts.findIndex(([size]) => number >= size);
  return parts.slice(first, first + 2).map(([size, unit], at) => {
    const whole = at === 0 ? number / size : (number % parts[first][0]) / size;
    return `${Math.floor(whole)} ${unit}`;
  }).join(" ");
});
// 14:03:07, by the clock of whoever looks.
export const clock = (milliseconds) => new Date(milliseconds).toLocaleTimeString("en-GB");
