// What is done to the server, each after a question.

import { change } from "./api.js";
import { clock } from "./format.js";

const byId = (id) => document.getElementById(id);

// Asks whether it is meant. Whoever presses Escape or Enter at once has said no.
function isMeant(title, text, yes) {
  const dialog = byId("confirm");
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-yes").textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

// Says what has come of it.
export function say(text, isBad = false) {
  byId("said").textContent = `${clock(Date.now())} ${text}`;
  byId("said").classList.toggle("bad", isBad);
}

export class Controls {
  #accepting = true;
  #done;

  // `done` is called when something has been done, `failed` with what has gone wrong.
  constructor(done, failed) {
    this.#done = (question, path, outcome) => this.#ask(question, path, outcome).then(done, failed);
    byId("confirm-yes").addEventListener("click", () => byId("confirm").close("yes"));
    byId("confirm-no").addEventListener("click", () => byId("confirm").close());
    byId("accepting").addEventListener("click", () => (this.#accepting ? this.#pause() : this.#resume()));
    byId("drain").addEventListener("click", () => this.#drain());
  }

  async #ask(question, path, outcome) {
    if (!(await isMeant(...question))) return;
    await change(path);
    say(outcome);
  }

  show(server) {
    this.#accepting = server.accepting;
    byId("accepting").textContent = server.accepting ? "Pause accepting" : "Resume accepting";
    this.enable(!server.draining);
  }

  enable(isEnabled) {
    byId("accepting").disabled = !isEnabled;
    byId("drain").disabled = !isEnabled;
  }

  kick(session) {
    const text = `${session.name}, ${session.peer}. What is queued for it is sent first. It may connect again.`;
    this.#done(["Kick this session?", text, "Kick"], `sessions/${session.id}/kick`, `${session.name} is being closed.`);
  }

  #pause() {
    const text = "Who connects waits in the system's queue, as many as fit. Sessions go on.";
    this.#done(["Pause accepting?", text, "Pause"], "accepting/pause", "Accepting is paused.");
  }

  #resume() {
    const text = "Those who have waited come first.";
    this.#done(["Resume accepting?", text, "Resume"], "accepting/resume", "Connections are accepted again.");
  }

  #drain() {
    const text = "Every session is ended in order, and then the server ends. There is no way back.";
    this.#done(["Drain the server?", text, "Drain"], "drain", "The server drains.");
  }
}
