// Limits that may change while the server runs, and who is banned. They are asked for only while they are looked at.

import { look } from "./api.js";
import * as format from "./format.js";
import { number, rows, setText } from "./table.js";

const byId = (id) => document.getElementById(id);
const rate = (told, of) => (told ? `${of(told.per_second)}/s, ${of(told.burst)} at once` : "off");

const LIMITS = [
  ["Sessions at most", (it) => format.count(it.sessions_max)],
  ["It may be raised to", (it) => format.count(it.sessions_max_at_start)],
  ["Of one address", (it) => (it.per_address_max === null ? "off" : format.count(it.per_address_max))],
  ["Accepted", (it) => rate(it.accept_rate, format.amount)],
  ["Frames of a session", (it) => rate(it.frame_rate, format.amount)],
  ["Bytes of a session", (it) => rate(it.byte_rate, format.bytes)],
];

export class Rules {
  #controls;

  // `wanted` is called when they are to be asked for.
  constructor(controls, wanted) {
    this.#controls = controls;
    byId("rules").addEventListener("toggle", () => this.isOpen && wanted());
    byId("ban").addEventListener("submit", (event) => {
      event.preventDefault();
      controls.ban(byId("ban-network").value.trim(), byId("ban-time").value);
    });
  }

  get isOpen() {
    return byId("rules").open;
  }

  async renew() {
    const [limits, { count, bans }] = await Promise.all([look("limits"), look("bans")]);
    rows(byId("limits"), LIMITS, ([name, value]) => [{ text: name }, number(value(limits))]);
    this.#showBans(bans);
    const rest = count > bans.length ? `, of which ${format.count(bans.length)} are told` : "";
    setText(byId("bans-count"), `${format.count(count)}${rest}`);
  }

  #showBans(bans) {
    rows(byId("bans"), bans, ({ network, seconds }) => [
      { text: network },
      number(seconds === null ? "until it is lifted" : `for ${format.duration(seconds)}`),
    ]);
    for (const [at, { network }] of bans.entries()) this.#offer(byId("bans").tBodies[0].rows[at], network);
  }

  // A row may come to be of another network: its button is of the one that stands there.
  #offer(row, network) {
    const cell = row.cells[2] ?? row.insertCell();
    if (!cell.firstElementChild) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Lift";
      button.addEventListener("click", () => this.#controls.lift(row.cells[0].textContent));
      cell.append(button);
    }
    cell.firstElementChild.ariaLabel = `Lift the ban of ${network}`;
  }
}
