/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "One pass through the open model, counted",
    look: "How many weights take part, how often, and how many multiplications and additions that makes.",
    tokens: "tokens",
    weights: "weights that multiply",
    in_layers: "of them in {layers} layers",
    in_output: "of them in the output matrix",
    twice: "2 · weights · tokens",
    operations: "operations in all, with attention's own products",
  },
  de: {
    title: "Ein Durchgang durch das offene Modell, gezählt",
    look: "Wie viele Gewichte mitwirken, wie oft, und wie viele Multiplikationen und Additionen das macht.",
    tokens: "Tokens",
    weights: "Gewichte, die multiplizieren",
    in_layers: "davon in {layers} Schichten",
    in_output: "davon in der Ausgabematrix",
    twice: "2 · Gewichte · Tokens",
    operations: "Rechenschritte insgesamt, mit den Produkten der Attention",
  },
};
