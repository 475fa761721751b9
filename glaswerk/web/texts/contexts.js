/** @type {import("../figure.js").Texts} */
export default {
  en: { title: "One “bank” becomes two, layer by layer", look: "The word's vector at its place in each sentence, compared with that in the others. At the embedding all are the same, cosine 1. Move the slider through the layers. Every sentence needs the word; what comes after it does not count.", sentence: "Sentence {place}", layer_after: "after layer", embedding: "embedding", between: "{one} and {other}", map: "Cosines between the vectors of “{word}”" },
  de: { title: "Aus einer „bank“ werden zwei, Schicht für Schicht", look: "Der Vektor des Wortes an seiner Stelle in jedem Satz, verglichen mit dem in den anderen. Am Embedding sind alle gleich, Kosinus 1. Fahr mit dem Regler durch die Schichten. Jeder Satz braucht das Wort; was danach kommt, zählt nicht.", sentence: "Satz {place}", layer_after: "nach Schicht", embedding: "Embedding", between: "{one} und {other}", map: "Kosinus zwischen den Vektoren von „{word}“" },
};
