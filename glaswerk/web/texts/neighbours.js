/** @type {import("../figure.js").Texts} */
export default {
  en: { title: "Neighbours in the space of meaning", look: "The ten words whose vectors point most in the direction of yours, with the cosine. Click a word to go there. Change where the vectors come from.", word: "Word", of: "the nearest of {of} words; each vector has {width} numbers" },
  de: { title: "Nachbarn im Raum der Bedeutung", look: "Die zehn Wörter, deren Vektoren am meisten in die Richtung deines Wortes zeigen, mit dem Kosinus. Ein Klick führt zu einem Wort. Wechsle, woher die Vektoren kommen. Die Texte dahinter sind englisch.", word: "Wort", of: "die nächsten von {of} Wörtern; jeder Vektor hat {width} Zahlen" },
};
