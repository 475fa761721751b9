// What a page writes: a JSON body to the live lab. Left out: reading (data.js).

import { Told, toldBy } from "./data.js";

const root = document.documentElement.dataset.up ?? "";

/** Send something to keep; returns what the lab says to it.
 * @param {string} kind @param {any} value @returns {Promise<any>} */
export async function send(kind, value) {
  let response;
  try {
    response = await fetch(`${root}api/${kind}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(value) });
  } catch {
    throw new Told("stopped");
  }
  return toldBy(response);
}
