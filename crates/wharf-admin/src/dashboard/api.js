// Requests to the endpoint. None waits for longer than a bound, and none is sent twice.

import { inTab } from "./kept.js";

const PATIENCE_MS = 5000;
const KEY = "wharf-admin-token";

// The endpoint wants a token, or another one.
export class TokenWanted extends Error {}

// The endpoint has answered, and not with what was asked for: its own line says why.
export class Refused extends Error {}

// There is no answer: nobody listens, or it takes too long.
export class Lost extends Error {}

// In this tab alone, and gone with it.
export const token = {
  get: () => inTab.get(KEY),
  set: (text) => inTab.set(KEY, text),
  forget: () => inTab.forget(KEY),
};

async function ask(path, options) {
  const headers = { ...options.headers };
  const own = token.get();
  if (own) headers.Authorization = `Bearer ${own}`;
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const [answer, text] = await fetch(`/api/v1/${path}`, { ...options, headers, signal, cache: "no-store" })
    .then(async (answer) => [answer, await answer.text()])
    .catch((cause) => {
      throw new Lost(path, { cause });
    });
  if (answer.status === 401) throw new TokenWanted();
  if (!answer.ok) throw new Refused(`${answer.status}: ${text.trim()}`);
  return JSON.parse(text);
}

export const look = (path) => ask(path, {});
export function change(path, what) {
  const headers = { "X-Wharf-Admin": "1" };
  if (what) headers["Content-Type"] = "application/json";
  return ask(path, { method: "POST", headers, body: what && JSON.stringify(what) });
}
