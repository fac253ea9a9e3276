// The page: asks once a second, one question at a time, and not while nobody can see it.

import { Lost, Refused, TokenWanted, look, token } from "./api.js";
import { Controls, say } from "./controls.js";
import { clock, duration } from "./format.js";
import { History, isSameRun } from "./history.js";
import { Overview } from "./overview.js";
import { Rules } from "./rules.js";
import { Sessions } from "./sessions.js";
import { setText } from "./table.js";
import { followTheme } from "./theme.js";

const EVERY_MS = 1000;
// How long whoever types or turns pages waits at most until it is asked for.
const SOON_MS = 100;
// The table is renewed this much more seldom: to find a thousand among many costs the workers more.
const SESSIONS_EVERY = 2;
// Limits and bans change only if somebody changes them.
const RULES_EVERY = 10;

const byId = (id) => document.getElementById(id);
const history = new History();
const overview = new Overview();
const controls = new Controls(wantAll, failed);
const sessions = new Sessions((session) => controls.kick(session), wantTable);
const rules = new Rules(controls, wantRules);
let isTableWanted = true;
let areRulesWanted = false;
// When the figures were asked for last, and how often.
let askedAt = -Infinity;
let rounds = 0;
// How long the server had been up when it answered last, and when that was; `null` before.
let last = null;
// Since when there is no answer, or `null`.
let lostSince = null;
let isAsking = false;
let timer = null;

function wantTable() {
  isTableWanted = true;
  soon();
}

function wantRules() {
  areRulesWanted = true;
  soon();
}

function wantAll() {
  isTableWanted = true;
  wantRules();
}

// Whether nobody looks, or nothing is told without a token.
const rests = () => document.hidden || !byId("token-form").hidden;

function schedule(milliseconds) {
  clearTimeout(timer);
  if (!rests()) timer = setTimeout(round, milliseconds);
}

// Does not wait for the next second. What is being asked is waited for: then it is asked right behind.
function soon() {
  if (!isAsking) schedule(SOON_MS);
}

async function round() {
  if (isAsking || rests()) return;
  isAsking = true;
  try {
    await ask();
    found();
  } catch (error) {
    failed(error);
  }
  isAsking = false;
  overview.move(history, Date.now());
  const isHurried = (isTableWanted || (rules.isOpen && areRulesWanted)) && lostSince === null;
  schedule(isHurried ? SOON_MS : Math.max(SOON_MS, askedAt + EVERY_MS - performance.now()));
}

async function ask() {
  if (performance.now() >= askedAt + EVERY_MS - SOON_MS) await askForFigures();
  if (isTableWanted) {
    isTableWanted = false;
    await sessions.renew();
  }
  if (rules.isOpen && areRulesWanted) {
    areRulesWanted = false;
    await rules.renew();
  }
}

async function askForFigures() {
  askedAt = performance.now();
  const timed = look("server").then((server) => [server, performance.now()]);
  const [[server, answered], workers] = await Promise.all([timed, look("workers")]);
  compare({ up: server.uptime_seconds, asked: askedAt, answered });
  history.add(Date.now(), server, workers);
  byId("main").hidden = false;
  controls.show(server);
  overview.show(history, server, workers);
  rounds += 1;
  isTableWanted ||= sessions.isLive && rounds % SESSIONS_EVERY === 0;
  areRulesWanted ||= rounds % RULES_EVERY === 0;
}

// Another run of the server counts from the beginning: nothing is compared with what was before.
function compare(now) {
  if (last && !isSameRun(now, last)) {
    history.gap(Date.now() - 1);
    isTableWanted = true;
  }
  last = now;
}

function found() {
  if (lostSince === null) return;
  say(`The server answers again, after ${duration((Date.now() - lostSince) / 1000)}.`);
  lostSince = null;
  isTableWanted = true;
  byId("lost").hidden = true;
}

function failed(error) {
  if (error instanceof TokenWanted) return askForToken();
  if (error instanceof Refused) return say(error.message, true);
  if (!(error instanceof Lost)) return odd(error);
  const now = Date.now();
  lostSince ??= now;
  history.gap(now);
  controls.enable(false);
  byId("lost").hidden = false;
  // How long it has been changes all the time, and is not read out.
  setText(byId("lost-since"), `No answer since ${clock(lostSince)}. What stands below is older. It is asked again and again.`);
  setText(byId("lost-for"), `(${duration((now - lostSince) / 1000)})`);
}

// An answer that this page does not understand, mostly that of another version.
function odd(error) {
  reportError(error);
  say("The server answers what this page does not understand: reload it.", true);
}

function askForToken() {
  byId("token-wrong").hidden = token.get() === null;
  token.forget();
  byId("main").hidden = true;
  byId("lost").hidden = true;
  controls.enable(false);
  byId("token-form").hidden = false;
  byId("token").focus();
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = byId("token").value.trim();
  byId("token").value = "";
  // What cannot stand in a header is no server's token, and could not even be asked with.
  const isToken = /^[\x21-\x7e]+$/.test(text);
  byId("token-wrong").hidden = isToken;
  if (!isToken) return;
  token.set(text);
  byId("token-form").hidden = true;
  isTableWanted = true;
  schedule(0);
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) soon();
});
followTheme(() => overview.draw());
schedule(0);
