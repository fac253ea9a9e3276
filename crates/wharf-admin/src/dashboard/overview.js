// What there is to be seen at a glance: the tiles, the charts, the workers and why sessions have ended.

import { Chart, Cursor } from "./chart.js";
import * as format from "./format.js";

const CHARTS = [
  {
    title: "Frames received", format: format.perSecond, least: 10,
    lines: [{ name: "all workers", key: "frames" }],
  },
  {
    title: "Bytes", format: format.bytesPerSecond, least: 1024, isBinary: true,
    lines: [{ name: "in", key: "received" }, { name: "out", key: "sent" }],
  },
  { title: "Sessions", format: format.count, least: 10, lines: [{ name: "open", key: "sessions" }] },
  {
    title: "Coming and going", format: format.perSecond, least: 1,
    lines: [
      { name: "accepted", key: "accepted" },
      { name: "peer closed", key: "endedByPeers" },
      { name: "other ends", key: "endedOtherwise" },
    ],
  },
  {
    title: "Time of a turn, callbacks included", format: format.seconds, least: 1e-5,
    lines: [{ name: "p50", key: "turnMiddle" }, { name: "p99", key: "turnHigh" }],
  },
  {
    title: "Timer lag", format: format.seconds, least: 1e-5,
    lines: [{ name: "p50", key: "lagMiddle" }, { name: "p99", key: "lagHigh" }],
  },
  {
    title: "Frames received by a worker", format: format.perSecond, least: 10,
    lines: [
      { name: "busiest", key: "busiest" },
      { name: "mean", key: "mean" },
      { name: "least", key: "least" },
    ],
  },
  {
    title: "Queued for slow readers", format: format.bytes, least: 1024, isBinary: true,
    lines: [{ name: "all workers", key: "queued" }],
  },
];

const TILES = [
  ["Sessions", (server) => format.count(server.sessions)],
  ["Frames in", (_, now) => format.perSecond(now.frames)],
  ["Bytes in", (_, now) => format.bytesPerSecond(now.received)],
  ["Bytes out", (_, now) => format.bytesPerSecond(now.sent)],
  ["Turn p99", (_, now) => format.seconds(now.turnHigh)],
  ["Timer lag p99", (_, now) => format.seconds(now.lagHigh)],
  ["Queued", (_, now) => format.bytes(now.queued)],
  ["Groups", (server) => format.count(server.groups)],
  ["Rooms", (server) => format.count(server.rooms)],
  ["Up for", (server) => format.duration(server.uptime_seconds)],
];

const byId = (id) => document.getElementById(id);

// As many rows as there are things, each with its cells; rows that are there stay.
function rows(table, things, cells) {
  const body = table.tBodies[0];
  while (body.rows.length > things.length) body.deleteRow(-1);
  things.forEach((thing, at) => {
    const row = body.rows[at] ?? body.insertRow();
    cells(thing).forEach(({ text, share, className }, column) => {
      const cell = row.cells[column] ?? row.insertCell();
      if (share === undefined) cell.textContent = text;
      else bar(cell, text, share);
      cell.className = className ?? "";
    });
  });
}

// A number with a bar behind it, as long as its share of the largest.
function bar(cell, text, share) {
  if (!cell.firstElementChild) {
    const box = document.createElement("div");
    box.className = "bar";
    box.append(document.createElement("i"), document.createElement("span"));
    cell.append(box);
  }
  const [line, label] = cell.firstElementChild.children;
  line.style.width = `${Math.round(100 * (share || 0))}%`;
  label.textContent = text;
}

const number = (text) => ({ text, className: "number" });

export class Overview {
  #charts;
  #tiles;

  constructor() {
    const cursor = new Cursor();
    this.#charts = CHARTS.map((plan) => new Chart(byId("charts"), plan, cursor));
    this.#tiles = TILES.map(([name, value]) => {
      const [tile, term, figure] = ["div", "dt", "dd"].map((it) => document.createElement(it));
      term.textContent = name;
      tile.append(term, figure);
      byId("tiles").append(tile);
      return { figure, value };
    });
  }

  // Shows an answer.
  show(history, server, workers) {
    const now = history.latest ?? {};
    for (const { figure, value } of this.#tiles) figure.textContent = value(server, now);
    this.#header(server);
    this.#workers(workers.workers, now.workers);
    this.#closes(server.closes, now.closes);
  }

  // Moves the charts on, whether there was an answer or not.
  move(history, at) {
    for (const chart of this.#charts) chart.show(history.samples, at);
  }

  draw() {
    for (const chart of this.#charts) chart.draw();
  }

  #header(server) {
    byId("version").textContent = server.version;
    const workers = `${server.workers} ${server.workers === 1 ? "worker" : "workers"}`;
    byId("place").textContent = `${server.addresses.join(", ")} · ${server.backend} · ${workers}`;
    const [text, isWarning] = server.draining ? ["draining", true] : server.accepting ? ["accepting", false] : ["not accepting", true];
    byId("state").textContent = text;
    byId("state").classList.toggle("warn", isWarning);
    document.title = `wharf ${server.addresses[0] ?? ""}: ${text}`;
  }

  #workers(workers, rates) {
    const sessions = Math.max(1, ...workers.map(({ stats }) => stats.sessions));
    const frames = Math.max(1, ...(rates ?? []).map((rate) => rate.frames));
    rows(byId("workers"), workers, (worker) => {
      const { stats, report } = worker;
      const rate = rates?.[worker.worker];
      const state = worker.ended ? "has ended" : worker.answers ? "answers" : "does not answer";
      return [
        { text: String(worker.worker) },
        { text: format.count(stats.sessions), share: stats.sessions / sessions },
        { text: format.perSecond(rate?.frames), share: (rate?.frames ?? 0) / frames },
        number(format.bytes(report?.queued_bytes)),
        number(format.seconds(rate?.turnHigh ?? NaN)),
        number(format.seconds(rate?.lagHigh ?? NaN)),
        { text: state, className: worker.answers ? "" : "warn" },
      ];
    });
  }

  // Those that have been met, the most frequent first.
  #closes(closes, lately) {
    const met = Object.entries(closes).filter(([, total]) => total > 0).sort(([, a], [, b]) => b - a);
    const shown = met.length > 0 ? met : [["none yet", 0]];
    rows(byId("closes"), shown, ([reason, total]) => [
      { text: reason },
      number(format.count(total)),
      number(format.count(lately?.[reason] ?? NaN)),
    ]);
  }
}
