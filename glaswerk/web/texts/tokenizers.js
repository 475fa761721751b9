/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "One text, seven vocabularies",
    look: "The same text, cut by each vocabulary, from the smallest pieces to the largest. The number under a token is its place in that vocabulary. A dashed red box has lost its text.",
    text: "Text",
    samples: "Try",
    count: "{tokens} tokens, out of {vocabulary}",
    unknown: "{unknown} of them unknown",
  },
  de: {
    title: "Ein Text, sieben Vokabulare",
    look: "Derselbe Text, von jedem Vokabular zerlegt, von den kleinsten Stücken zu den größten. Die Zahl unter einem Token ist sein Platz in diesem Vokabular. Ein rot gestricheltes Kästchen hat seinen Text verloren.",
    text: "Text",
    samples: "Probiere",
    count: "{tokens} Tokens von {vocabulary}",
    unknown: "{unknown} davon unbekannt",
  },
};
