/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "{name}",
    look: "What is loaded, and where its parameters lie. Widths follow the parameters, but no part is narrower than its label.",
    parameters: "parameters", layers: "layers", heads: "heads", width: "width", vocabulary: "tokens in the vocabulary", context: "tokens of context",
    embedding: "embedding", position: "positions", attention: "attention", mlp: "MLP", norm: "norms", head: "output head",
    parts: "Parameters by part", family: "shape", tied: "The output uses the embedding table again, so it has no parameters of its own.",
  },
  de: {
    title: "{name}",
    look: "Was geladen ist und wo seine Parameter liegen. Die Breiten folgen den Parametern, nur ist kein Teil schmaler als seine Beschriftung.",
    parameters: "Parameter", layers: "Schichten", heads: "Köpfe", width: "Breite", vocabulary: "Tokens im Vokabular", context: "Tokens Kontext",
    embedding: "Embedding", position: "Positionen", attention: "Attention", mlp: "MLP", norm: "Normen", head: "Ausgabe",
    parts: "Parameter nach Teilen", family: "Bauart", tied: "Die Ausgabe benutzt die Embedding-Tabelle noch einmal und hat darum keine eigenen Parameter.",
  },
};
