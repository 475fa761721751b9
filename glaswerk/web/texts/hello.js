/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "One text, two lists of tokens",
    look: "The same text in GPT-2's vocabulary and in that of the open model. Change it: a space in front, a small h, your name.",
    text: "Text",
    size: "{count} tokens in its list",
    is_byte: "a byte, from the start",
    is_merge: "joined as number {merge}",
    open: "the open model",
    no_model: "No model is open.",
    not_pulled: "GPT-2's list is not here yet:",
  },
  de: {
    title: "Ein Text, zwei Listen von Tokens",
    look: "Derselbe Text im Vokabular von GPT-2 und in dem des offenen Modells. Ändere ihn: ein Leerzeichen davor, ein kleines h, dein Name.",
    text: "Text",
    size: "{count} Tokens auf seiner Liste",
    is_byte: "ein Byte, von Anfang an",
    is_merge: "verbunden als Nummer {merge}",
    open: "das offene Modell",
    no_model: "Kein Modell ist offen.",
    not_pulled: "Die Liste von GPT-2 ist noch nicht da:",
  },
};
