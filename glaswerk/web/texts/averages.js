/** @type {import("../figure.js").Texts} */
export default {
  en: { title: "An average forgets the order of the words", look: "Each sentence becomes the mean of its words' GloVe vectors; its first numbers are shown. Below, the cosines between the means. Change the sentences.", sentence: "Sentence {place}", mean: "mean:", between: "cosine of sentence {one} and {other}" },
  de: { title: "Ein Mittelwert vergisst die Reihenfolge", look: "Jeder Satz wird zum Mittel der GloVe-Vektoren seiner Wörter; die ersten Zahlen stehen darunter. Unten der Kosinus zwischen den Mitteln. Ändere die Sätze; GloVe kennt englische Wörter.", sentence: "Satz {place}", mean: "Mittel:", between: "Kosinus von Satz {one} und {other}" },
};
