/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "The same seed, the same text",
    look: "Three neighbouring seeds, the same prompt, top-p 0.95. Each text was written twice, from the start, and the two were compared token by token.",
    temperature: "Temperature",
    greedy: "0 (greedy)",
    first: "First seed",
    seed: "Seed {seed}",
    same: "Written a second time: the same tokens.",
    not_same: "Written a second time, it differs:",
    different: "{different} different texts from {lines} seeds.",
  },
  de: {
    title: "Derselbe Seed, derselbe Text",
    look: "Drei benachbarte Seeds, derselbe Prompt, Top-p 0,95. Jeder Text wurde zweimal von vorn geschrieben, und beide wurden Token für Token verglichen.",
    temperature: "Temperatur",
    greedy: "0 (greedy)",
    first: "Erster Seed",
    seed: "Seed {seed}",
    same: "Ein zweites Mal geschrieben: dieselben Tokens.",
    not_same: "Ein zweites Mal geschrieben, lautet er anders:",
    different: "{different} verschiedene Texte aus {lines} Seeds.",
  },
};
