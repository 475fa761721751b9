/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "The price of German",
    look: "How many tokens German sentences take for what their English translations say. A ratio of 1, the line, means that both cost the same. Below, look at single sentences.",
    caption: "{pairs} pairs of sentences (pairs-de-en)",
    vocabulary: "Vocabulary",
    german: "German",
    english: "English",
    ratio: "German / English",
    sentence: "sentence",
    one: "1 token",
    count: "{tokens} tokens",
  },
  de: {
    title: "Der Preis des Deutschen",
    look: "Wie viele Tokens deutsche Sätze für das brauchen, was ihre englischen Übersetzungen sagen. Ein Verhältnis von 1, die Linie, heißt: Beide kosten gleich viel. Darunter kannst du einzelne Sätze ansehen.",
    caption: "{pairs} Satzpaare (pairs-de-en)",
    vocabulary: "Vokabular",
    german: "Deutsch",
    english: "Englisch",
    ratio: "Deutsch / Englisch",
    sentence: "Satz",
    one: "1 Token",
    count: "{tokens} Tokens",
  },
};
