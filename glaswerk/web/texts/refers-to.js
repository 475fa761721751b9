/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "Which noun does “it” look at? Every head of the open model",
    look: "Rows are layers, columns are heads. Orange: from the marked token this head takes more from the first noun; blue: more from the second; pale: about the same, mostly nothing from either. Point at a head to see its whole row of weights above; click another token to look from there.",
    sentence: "Sentence",
    strip: "What {token} takes in layer {layer}, head {head}",
    choose: "Choose the token that looks",
    map: "Weight on {first} minus weight on {second}, layers by heads",
    reads: "Orange: {first}. Blue: {second}.",
    here: "Layer {layer}, head {head}, from {token}",
    all: "All {count} heads",
    mean: "mean weight on {noun}",
    prefer: "heads that favour {noun} by more than 0.1",
  },
  de: {
    title: "Welches Substantiv sieht „it“ an? Jeder Kopf des offenen Modells",
    look: "Zeilen sind Schichten, Spalten sind Köpfe. Orange: Vom markierten Token aus nimmt dieser Kopf mehr vom ersten Substantiv; blau: mehr vom zweiten; blass: von beiden gleich viel, meist fast nichts. Zeig auf einen Kopf, dann steht oben seine ganze Zeile von Gewichten; klick auf ein anderes Token, um von dort zu schauen.",
    sentence: "Satz",
    strip: "Was {token} in Schicht {layer}, Kopf {head} nimmt",
    choose: "Wähle das Token, das hinsieht",
    map: "Gewicht auf {first} minus Gewicht auf {second}, Schichten mal Köpfe",
    reads: "Orange: {first}. Blau: {second}.",
    here: "Schicht {layer}, Kopf {head}, von {token} aus",
    all: "Alle {count} Köpfe",
    mean: "mittleres Gewicht auf {noun}",
    prefer: "Köpfe, die {noun} um mehr als 0,1 vorziehen",
  },
};
