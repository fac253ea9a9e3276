// The table of sessions. What peers and programs have named is put in as text, never as markup.

import { look } from "./api.js";
import * as format from "./format.js";
import { setText } from "./table.js";

const ROWS = 50;
// As many as the endpoint tells at a time.
const LIMIT_MAX = 1000;
const ASCENDING = ["id"];
const byId = (id) => document.getElementById(id);

export class Sessions {
  #body = byId("sessions").tBodies[0];
  // By id: the row, and the session as it was told last.
  #rows = new Map();
  #page = 0;
  // By id: where each page begins. By anything else a page is a part of one long answer.
  #starts = [null];
  // The page that is shown, and whether there is one behind it. That is known of no other.
  #shown = { page: 0, hasMore: false };
  // The button that a page was turned with, until that page is shown.
  #turner = null;
  #kick;
  #changed;

  // `kick` is called with a session, `changed` when another table is wanted.
  constructor(kick, changed) {
    this.#kick = kick;
    this.#changed = changed;
    byId("search").addEventListener("submit", (event) => event.preventDefault());
    for (const id of ["peer", "group"]) byId(id).addEventListener("input", () => this.#restart());
    byId("order").addEventListener("change", () => this.#restart());
    byId("previous").addEventListener("click", (event) => this.#turn(-1, event.currentTarget));
    byId("next").addEventListener("click", (event) => this.#turn(1, event.currentTarget));
    for (const head of document.querySelectorAll("#sessions [data-order]")) this.#sortable(head);
    this.#mark();
  }

  // Whether it is to be renewed by itself.
  get isLive() {
    return byId("live").checked;
  }

  #sortable(head) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => {
      byId("order").value = head.dataset.order;
      this.#restart();
    });
    head.replaceChildren(button);
  }

  #restart() {
    this.#page = 0;
    this.#starts = [null];
    this.#shown = { page: 0, hasMore: false };
    this.#offer();
    this.#mark();
    this.#changed();
  }

  // From a page that is not shown yet nobody knows where to go.
  #turn(by, button) {
    const { page, hasMore } = this.#shown;
    if (this.#page !== page || (by < 0 ? page === 0 : !hasMore)) return;
    this.#page += by;
    this.#turner = button;
    byId("previous").disabled = true;
    byId("next").disabled = true;
    this.#changed();
  }

  // The buttons are those of the page that is shown.
  #offer() {
    byId("previous").disabled = this.#shown.page === 0;
    byId("next").disabled = !this.#shown.hasMore;
    // A button that is disabled loses the focus.
    if (document.activeElement === document.body) this.#turner?.focus({ preventScroll: true });
    this.#turner = null;
  }

  #mark() {
    const order = byId("order").value;
    for (const head of document.querySelectorAll("#sessions [data-order]")) {
      const is = head.dataset.order === order;
      head.ariaSort = is ? (ASCENDING.includes(order) ? "ascending" : "descending") : null;
    }
  }

  #query(order) {
    const query = new URLSearchParams({ order });
    const byPage = order === "id";
    query.set("limit", String(byPage ? ROWS : Math.min(LIMIT_MAX, ROWS * (this.#page + 1) + 1)));
    const start = this.#starts[this.#page];
    if (byPage && start) query.set("after", start);
    for (const name of ["peer", "group"]) {
      if (byId(name).value) query.set(name, byId(name).value);
    }
    return query.toString();
  }

  // Asks for what is wanted and shows it, unless something else has come to be wanted meanwhile.
  async renew() {
    const order = byId("order").value;
    const [query, page] = [this.#query(order), this.#page];
    const answer = await look(`sessions?${query}`).catch((error) => this.#failed(error));
    if (page !== this.#page || query !== this.#query(byId("order").value)) return;
    const first = order === "id" ? 0 : page * ROWS;
    const shown = answer.sessions.slice(first, first + ROWS);
    const hasMore = order === "id" ? answer.next !== null : answer.sessions.length > first + ROWS;
    if (order === "id" && answer.next !== null) this.#starts[page + 1] = answer.next;
    this.#show(shown);
    this.#shown = { page, hasMore };
    this.#offer();
    this.#tell(shown.length, page, answer.silent_workers);
  }

  // What was wanted did not come, so what is shown stays.
  #failed(error) {
    this.#page = this.#shown.page;
    this.#offer();
    throw error;
  }

  #show(sessions) {
    const rows = sessions.map((session) => {
      const row = this.#rows.get(session.id)?.row ?? this.#row(session);
      this.#fill(row, session);
      return [session.id, { row, session }];
    });
    this.#rows = new Map(rows);
    this.#arrange(rows.map(([, { row }]) => row));
  }

  // Rows that stand as they should are left alone, with what is selected in them.
  #arrange(rows) {
    const body = this.#body;
    const isSo = rows.length > 0 && rows.length === body.rows.length && rows.every((row, at) => row === body.rows[at]);
    if (isSo) return;
    const focused = body.contains(document.activeElement) ? document.activeElement : null;
    body.replaceChildren(...rows);
    if (rows.length === 0) this.#empty();
    // A row that is moved loses the focus; that of one which is gone goes to the table.
    if (focused) (body.contains(focused) ? focused : body.closest(".scroll")).focus({ preventScroll: true });
  }

  #row({ id, name }) {
    const row = document.createElement("tr");
    for (let column = 0; column < 12; column += 1) row.insertCell();
    for (let column = 2; column < 9; column += 1) row.cells[column].className = "number";
    row.cells[10].className = "groups";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Kick";
    button.ariaLabel = `Kick session ${name}`;
    button.addEventListener("click", () => this.#kick(this.#rows.get(id).session));
    row.cells[11].append(button);
    return row;
  }

  #fill(row, session) {
    const states = [[session.closing, "closing"], [session.held_back, "held back"]];
    const groups = session.groups.join(", ");
    [
      session.name,
      session.peer,
      format.duration(session.age_seconds),
      format.duration(session.silent_seconds),
      format.bytes(session.queued_bytes),
      format.bytes(session.received_bytes),
      format.bytesPerSecond(session.received_per_second),
      format.bytes(session.sent_bytes),
      format.bytesPerSecond(session.sent_per_second),
      states.filter(([is]) => is).map(([, name]) => name).join(", ") || "open",
      groups,
    ].forEach((text, column) => {
      setText(row.cells[column], text);
    });
    row.cells[9].classList.toggle("warn", session.closing || session.held_back);
    row.cells[10].title = groups;
  }

  #empty() {
    const row = this.#body.insertRow();
    const cell = row.insertCell();
    cell.colSpan = 12;
    cell.className = "empty";
    cell.textContent = "No session is so.";
  }

  #tell(count, page, silent) {
    const first = page * ROWS + 1;
    const range = count > 0 ? `${format.count(first)} to ${format.count(first + count - 1)}` : "none";
    const missing = silent.length > 0 ? `; worker ${silent.join(", ")} does not answer, its sessions are missing` : "";
    setText(byId("page"), range + missing);
  }
}
