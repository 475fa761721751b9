// The page's end of the worker: `compute(kind, args)` resolves with the model's answer. Left out: which questions go
// here and which to files; `data.js` decides.

/** Whether the model in the browser answers such a question; one about another model it cannot. @param {string} kind
 * @param {Record<string, any>} args */
export function answers(kind, args) { return ["tokens", "trace", "next", "step", "row", "stack"].includes(kind) && args.model === undefined; }

/** @type {Worker|null} */
let worker = null;
let asked = 0;
/** @type {Map<number, {done: (told: any) => void, failed: (error: Error) => void}>} */
const waiting = new Map();

/** @param {string} kind @param {Record<string, any>} args @param {(told: {error: string, german?: string}) => Error} failure
 * @returns {Promise<any>} */
export function compute(kind, args, failure) {
  if (!worker) {
    worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    worker.addEventListener("message", ({ data: { number, told, error, german } }) => {
      const one = waiting.get(number);
      waiting.delete(number);
      if (error === undefined) one?.done(told);
      else one?.failed(failure({ error, german }));
    });
    worker.addEventListener("error", (event) => {
      for (const one of waiting.values()) one.failed(failure({ error: event.message || "the model could not be started", german: event.message || "Das Modell ließ sich nicht starten." }));
      waiting.clear();
    });
  }
  const number = asked++;
  return new Promise((done, failed) => {
    waiting.set(number, { done, failed });
    worker?.postMessage({ number, kind, args });
  });
}
