// What there is to be seen at a glance: the tiles, the charts, the workers and why sessions have ended.

import { Chart, Cursor } from "./chart.js";
import * as format from "./format.js";
import { level, number, rows, setText } from "./table.js";

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
  ["Room for", (server) => format.count(Math.max(0, server.sessions_max - server.sessions)), fullness],
  ["Frames in", (_, now) => format.perSecond(now.frames)],
  ["Bytes in", (_, now) => format.bytesPerSecond(now.received)],
  ["Bytes out", (_, now) => format.bytesPerSecond(now.sent)],
  ["Turn p99", (_, now) => format.seconds(now.turnHigh)],
  ["Timer lag p99", (_, now) => format.seconds(now.lagHigh)],
  ["Queued", (_, now) => format.bytes(now.queued)],
  ["Groups, rooms", (server) => `${format.count(server.groups)}, ${format.count(server.rooms)}`],
  ["Up for", (server) => format.duration(server.uptime_seconds)],
];

// How near the server is to as many sessions as there may be.
function fullness(server) {
  return level(server.sessions, server.sessions_max);
}

const byId = (id) => document.getElementById(id);

// Who waits to be accepted, of how many may; not known where the system does not tell.
function backlog(told) {
  if (!told) return number(format.count(NaN));
  return number(`${format.count(told.waiting)} of ${format.count(told.max)}`, level(told.waiting, told.max));
}

export class Overview {
  #charts;
  #tiles;

  constructor() {
    const cursor = new Cursor();
    this.#charts = CHARTS.map((plan) => new Chart(byId("charts"), plan, cursor));
    this.#tiles = TILES.map(([name, value, levelOf]) => {
      const [tile, term, figure] = ["div", "dt", "dd"].map((it) => document.createElement(it));
      term.textContent = name;
      tile.append(term, figure);
      byId("tiles").append(tile);
      return { figure, value, levelOf };
    });
  }

  // Shows an answer.
  show(history, server, workers) {
    const now = history.latest ?? {};
    for (const { figure, value, levelOf } of this.#tiles) {
      setText(figure, value(server, now));
      figure.className = levelOf?.(server) ?? "";
    }
    this.#header(server);
    this.#workers(workers.workers, now.workers);
    this.#reasons("closes", server.closes, now.closes);
    this.#reasons("refused", history.refused, now.refused);
  }

  // Moves the charts on, whether there was an answer or not.
  move(history, at) {
    for (const chart of this.#charts) chart.show(history.samples, at);
  }

  draw() {
    for (const chart of this.#charts) chart.draw();
  }

  #header(server) {
    setText(byId("version"), server.version);
    const workers = `${server.workers} ${server.workers === 1 ? "worker" : "workers"}`;
    setText(byId("place"), `${server.addresses.join(", ")} · ${server.backend} · ${workers}`);
    const [text, isWarning] = server.draining ? ["draining", true] : server.accepting ? ["accepting", false] : ["not accepting", true];
    setText(byId("state"), text);
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
        { text: state, className: worker.answers ? "" : "warn" },
        { text: format.count(stats.sessions), share: stats.sessions / sessions },
        { text: format.perSecond(rate?.frames), share: (rate?.frames ?? 0) / frames },
        number(format.bytes(report?.queued_bytes)),
        number(format.seconds(rate?.turnHigh ?? NaN)),
        number(format.seconds(rate?.lagHigh ?? NaN)),
        backlog(report?.accept_backlog),
      ];
    });
  }

  // Those that have been met, the most frequent first.
  #reasons(table, counts, lately) {
    const met = Object.entries(counts).filter(([, total]) => total > 0).sort(([, a], [, b]) => b - a);
    const shown = met.length > 0 ? met : [["none yet", 0]];
    rows(byId(table), shown, ([reason, total]) => [
      { text: reason },
      number(format.count(total)),
      number(format.count(lately?.[reason] ?? NaN)),
    ]);
  }
}
