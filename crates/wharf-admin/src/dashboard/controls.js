// What is done to the server, each after a question.

import { Refused, change } from "./api.js";
import { clock } from "./format.js";
import { setText } from "./table.js";

const byId = (id) => document.getElementById(id);

// Asks whether it is meant, and with `bans` how long an address is to be kept out as well. Whoever presses Escape or
// Enter at once has said no.
function isMeant(title, text, yes, bans = false) {
  const dialog = byId("confirm");
  byId("confirm-ban").value = "";
  byId("confirm-choice").hidden = !bans;
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

// The address of a peer without its port and its scope, which no ban has; nothing of one that has none.
function addressOf(peer) {
  return /^(?:\[(?<six>[^\]%]+)(?:%[^\]]*)?\]|(?<four>[\d.]+)):\d+$/.exec(peer)?.groups ?? {};
}

// What lasts so many seconds, as text; nothing is for ever.
const secondsOf = (choice) => (choice === "lifted" ? null : Number(choice));

export class Controls {
  #accepting = true;
  #done;

  // `done` is called when something has been done, `failed` with what has gone wrong.
  constructor(done, failed) {
    this.#done = (question, act, outcome) =>
      this.#ask(question, act, outcome).then(done, (error) => {
        failed(error);
        // What is refused is so because something is other than it is shown.
        if (error instanceof Refused) done();
      });
    byId("confirm-yes").addEventListener("click", () => byId("confirm").close("yes"));
    byId("confirm-no").addEventListener("click", () => byId("confirm").close());
    byId("accepting").addEventListener("click", () => (this.#accepting ? this.#pause() : this.#resume()));
    byId("drain").addEventListener("click", () => this.#drain());
  }

  // `act` does it, and may say what has come of it.
  async #ask(question, act, outcome) {
    if (!(await isMeant(...question))) return;
    const told = await act();
    say(outcome ?? told);
  }

  show(server) {
    this.#accepting = server.accepting;
    setText(byId("accepting"), server.accepting ? "Pause accepting" : "Resume accepting");
    this.enable(!server.draining);
  }

  enable(isEnabled) {
    byId("accepting").disabled = !isEnabled;
    byId("drain").disabled = !isEnabled;
  }

  // Whom nothing keeps out may connect again before it is banned: the ban comes first.
  kick({ id, name, peer }) {
    const { four, six } = addressOf(peer);
    const network = four ?? six;
    const text = `${name}, ${peer}. What is queued for it is sent first. It may connect again, unless its address is banned.`;
    this.#done(["Kick this session?", text, "Kick", Boolean(network)], async () => {
      const choice = network && byId("confirm-ban").value;
      if (choice) await change("bans", { network, seconds: secondsOf(choice) });
      const banned = choice ? `, and ${network} is banned` : "";
      await change(`sessions/${id}/kick`).catch((error) => {
        // The ban stands all the same.
        throw error instanceof Refused ? new Refused(`${name} is not kicked${banned}: ${error.message}`) : error;
      });
      return `${name} is being closed${banned}.`;
    });
  }

  ban(network, choice) {
    const text = `${network}. Who connects from there is reset; sessions that there are stay.`;
    const act = () => change("bans", { network, seconds: secondsOf(choice) });
    this.#done(["Ban this network?", text, "Ban"], act, `${network} is banned.`);
  }

  lift(network) {
    const text = `${network}. Who connects from there is served again.`;
    this.#done(["Lift this ban?", text, "Lift"], () => change("bans/lift", { network }), `${network} is banned no more.`);
  }

  #pause() {
    const text = "Who connects waits in the system's queue, as many as fit. Sessions go on.";
    this.#done(["Pause accepting?", text, "Pause"], () => change("accepting/pause"), "Accepting is paused.");
  }

  #resume() {
    const text = "Those who have waited come first.";
    this.#done(["Resume accepting?", text, "Resume"], () => change("accepting/resume"), "Connections are accepted again.");
  }

  #drain() {
    const text = "Every session is ended in order, and then the server ends. There is no way back.";
    this.#done(["Drain the server?", text, "Drain"], () => change("drain"), "The server drains.");
  }
}
