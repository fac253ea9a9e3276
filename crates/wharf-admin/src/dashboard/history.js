// What the server has said in the last minutes, and the rates that follow. Counters are compared with those of the
// answer before; where that is too old, or of another run of the server, there is a gap and no rate.

export const WINDOW_MS = 300_000;
// One more than are shown, at one a second.
const SAMPLES_MAX = 302;
// Answers that are further apart than this have a gap between them.
const GAP_MS = 5_000;
// Quantiles are of this long: one turn in seventeen is timed, and a second of a quiet server has few.
const QUANTILE_MS = 10_000;
const MINUTE_MS = 60_000;
// By how much the clocks of the server and of this page may come to differ between two answers.
const CLOCKS_APART_MS = 500;

// The bound below which a share of what was measured lies, in seconds, by a line through its bucket. `null` if
// nothing was measured; the highest bound for what lies beyond it.
export function quantile(bounds, counts, share) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let below = 0;
  for (const [at, count] of counts.entries()) {
    if (count > 0 && below + count >= share * total) {
      if (at === bounds.length) return bounds.at(-1);
      const lower = at === 0 ? 0 : bounds[at - 1];
      return lower + ((bounds[at] - lower) * (share * total - below)) / count;
    }
    below += count;
  }
  return bounds.at(-1);
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const minus = (counts, earlier) => counts.map((count, at) => count - (earlier?.[at] ?? 0));

// The counts of all workers, bucket by bucket.
function together(workers, name) {
  const counts = workers.map((worker) => worker[name]?.counts ?? []);
  return (counts[0] ?? []).map((_, at) => sum(counts.map((of) => of[at] ?? 0)));
}

// What waits in the send queues of those workers that have answered, in bytes.
const queued = ({ workers }) => sum(workers.map(({ report }) => report?.queued_bytes ?? 0));

const REFUSED = "refused_";

// How many connections all workers have reset at once, by reason.
function refused({ workers }) {
  const names = Object.keys(workers[0]?.stats ?? {}).filter((name) => name.startsWith(REFUSED));
  const counts = names.map((name) => [name.slice(REFUSED.length), sum(workers.map(({ stats }) => stats[name]))]);
  return Object.fromEntries(counts);
}

// What an answer counts, in the form in which two can be compared.
function counted(at, server, answer) {
  const { workers } = answer;
  const stat = (name) => sum(workers.map((worker) => worker.stats[name]));
  return {
    at,
    uptime: server.uptime_seconds,
    closes: server.closes,
    refused: refused(answer),
    totals: {
      frames: stat("frames_in"),
      received: stat("bytes_in"),
      sent: stat("bytes_out"),
      accepted: stat("accepted"),
      closed: sum(Object.values(server.closes)),
      byPeers: server.closes.peer_closed ?? 0,
    },
    turns: together(workers, "turns"),
    lags: together(workers, "timer_lag"),
    bounds: { turns: workers[0]?.turns?.bounds_seconds, lags: workers[0]?.timer_lag?.bounds_seconds },
    workers: workers.map((worker) => ({
      frames: worker.stats.frames_in,
      turns: worker.turns?.counts ?? [],
      lags: worker.timer_lag?.counts ?? [],
    })),
  };
}

// Whether one follows the other: the same run of the server, near enough, and nothing has gone back.
function follows(now, before) {
  const isNear = now.at > before.at && now.at - before.at <= GAP_MS;
  const goesOn = now.uptime >= before.uptime && now.workers.length === before.workers.length;
  return isNear && goesOn && Object.keys(now.totals).every((key) => now.totals[key] >= before.totals[key]);
}

// Whether two answers are of one run of the server: then it has been up for longer by what has passed between them at
// least, however long they took. `up` is in seconds, `asked` and `answered` are in milliseconds.
export function isSameRun(now, before) {
  const passed = now.asked - before.answered;
  return 1000 * (now.up - before.up) >= Math.max(0, passed - CLOCKS_APART_MS);
}

export class History {
  // Of the oldest first; `values` is `null` in a gap.
  #samples = [];

  get samples() {
    return this.#samples;
  }

  get latest() {
    return this.#samples.at(-1)?.values ?? null;
  }

  // Connections that were refused since the server began, by reason.
  get refused() {
    return this.#samples.findLast(({ counted }) => counted)?.counted.refused ?? {};
  }

  // Takes what was answered at a time, in milliseconds.
  add(at, server, workers) {
    const now = counted(at, server, workers);
    const last = this.#samples.at(-1)?.counted;
    const before = last && follows(now, last) ? last : null;
    if (last && !before) this.gap(at - 1);
    const values = { sessions: server.sessions, queued: queued(workers), ...this.#rates(now, before) };
    this.#push({ at, counted: now, values });
  }

  // Nothing is known at this time.
  gap(at) {
    if (this.#samples.at(-1)?.values) this.#push({ at, counted: null, values: null });
  }

  #push(sample) {
    this.#samples.push(sample);
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
  }

  // The oldest answer of the same run that is no older than so many milliseconds.
  #since(at, milliseconds) {
    let found = null;
    for (let index = this.#samples.length - 1; index >= 0; index -= 1) {
      const { counted } = this.#samples[index];
      if (!counted || at - counted.at > milliseconds) break;
      found = counted;
    }
    return found;
  }

  #rates(now, before) {
    if (!before) return {};
    const per = (key) => (1000 * (now.totals[key] - before.totals[key])) / (now.at - before.at);
    const rates = { frames: per("frames"), received: per("received"), sent: per("sent"), accepted: per("accepted") };
    const workers = this.#ofWorkers(now, before);
    const frames = workers.map((worker) => worker.frames);
    const earlier = this.#since(now.at, QUANTILE_MS) ?? before;
    const of = (name, share) => quantile(now.bounds[name] ?? [], minus(now[name], earlier[name]), share);
    return {
      ...rates,
      endedByPeers: per("byPeers"),
      endedOtherwise: per("closed") - per("byPeers"),
      turnMiddle: of("turns", 0.5),
      turnHigh: of("turns", 0.99),
      lagMiddle: of("lags", 0.5),
      lagHigh: of("lags", 0.99),
      busiest: Math.max(...frames),
      mean: sum(frames) / frames.length,
      least: Math.min(...frames),
      workers,
      closes: this.#lately(now, "closes"),
      refused: this.#lately(now, "refused"),
    };
  }

  #ofWorkers(now, before) {
    const earlier = this.#since(now.at, QUANTILE_MS) ?? before;
    return now.workers.map((worker, at) => ({
      frames: (1000 * (worker.frames - before.workers[at].frames)) / (now.at - before.at),
      turnHigh: quantile(now.bounds.turns ?? [], minus(worker.turns, earlier.workers[at].turns), 0.99),
      lagHigh: quantile(now.bounds.lags ?? [], minus(worker.lags, earlier.workers[at].lags), 0.99),
    }));
  }

  // How often there was each reason within the last minute, or since the last gap.
  #lately(now, name) {
    const earlier = this.#since(now.at, MINUTE_MS)?.[name];
    const counts = Object.entries(now[name]);
    return Object.fromEntries(counts.map(([reason, total]) => [reason, total - (earlier?.[reason] ?? total)]));
  }
}
