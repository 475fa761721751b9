/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "Small differences, other tokens",
    look: "Each line is a text that you can change. A dot is a space.",
    spelling: "Text {place}",
    one: "1 token",
    count: "{tokens} tokens",
  },
  de: {
    title: "Kleine Unterschiede, andere Tokens",
    look: "Jede Zeile ist ein Text, den du ändern kannst. Ein Punkt ist ein Leerzeichen.",
    spelling: "Text {place}",
    one: "1 Token",
    count: "{tokens} Tokens",
  },
};
