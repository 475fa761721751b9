// Asks the server that the chat page came from: which models it has, and a reply piece by piece. Left out: what is shown.

/** @typedef {{token: string, logprob: number, bytes: number[]}} Candidate */
/** @typedef {Candidate & {top_logprobs: Candidate[]}} Told one token as the API tells it */
/** @typedef {{id: string, parent: string|null, context: number, chat: boolean}} Model `parent`: the base of an adapter */

/** What the server refused, in its words; `status` is HTTP's, 0 where nobody answered. */
export class Refused extends Error {
  /** @param {number} status @param {string} message @param {number} [wait] seconds after which it may work */
  constructor(status, message, wait = 0) { super(message); this.status = status; this.wait = wait; }
}

/** @param {string} path @param {string} key @param {object|null} body @param {AbortSignal} [signal] */
async function ask(path, key, body, signal) {
  /** @type {Record<string, string>} */
  const headers = { authorization: `Bearer ${key}` };
  if (body) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(`v1/${path}`, { method: body ? "POST" : "GET", headers, body: body ? JSON.stringify(body) : undefined, signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused(0, "");
  }
  if (response.ok) return response;
  const told = await response.json().catch(() => null);
  throw new Refused(response.status, told?.error?.message ?? `${response.status}`, Number(response.headers.get("retry-after") ?? 0));
}

/** The models that answer, the base first. @param {string} key @returns {Promise<Model[]>} */
export async function models(key) { return (await (await ask("models", key, null)).json()).data; }

/** The chunks of a reply, as they come. @param {string} key @param {object} body @param {AbortSignal} signal */
export async function* reply(key, body, signal) {
  const response = await ask("chat/completions", key, { ...body, stream: true }, signal);
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Refused(0, ""); // the last event never came
    text += value;
    const events = text.split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) {
      const data = event.replace(/^data: /, "");
      if (data === "[DONE]") return;
      const told = JSON.parse(data);
      if (told.error) throw new Refused(500, told.error.message);
      yield told;
    }
  }
}
