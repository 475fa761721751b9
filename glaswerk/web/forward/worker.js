// The model in a thread of its own, so that the page stays usable while it computes. Takes {number, kind, args}, answers
// {number, told} or {number, error, german}. The weights are fetched when the first question comes.

import { Answers } from "./answers.js";
import { Decoder } from "./decoder.js";
import { Refused } from "./refused.js";
import { tensors } from "./safetensors.js";
import { Tokenizer } from "./tokenizer.js";

const folder = new URL("../../model/", import.meta.url);

/** @param {string} name @returns {Promise<Response>} */
async function file(name) {
  const response = await fetch(new URL(name, folder));
  if (!response.ok) throw new Refused(`${name} could not be fetched: ${response.status}`, `${name} ließ sich nicht laden: ${response.status}`);
  return response;
}

async function load() {
  const [about, tokenizer, weights] = await Promise.all([
    file("about.json").then((response) => response.json()),
    file("tokenizer.json").then((response) => response.json()),
    file("weights.safetensors").then((response) => response.arrayBuffer()),
  ]);
  return new Answers(new Decoder(about.config, tensors(weights)), new Tokenizer(tokenizer), about);
}

/** @type {Promise<Answers>|null} */
let answers = null;
addEventListener("message", async (/** @type {MessageEvent} */ event) => {
  const { number, kind, args } = event.data;
  try {
    answers ??= load();
    postMessage({ number, told: (await answers).answer(kind, args) });
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    postMessage({ number, error: text, german: error instanceof Refused ? error.german : text });
  }
});
