/** @type {import("../figure.js").Texts} */
export default {
  en: { title: "Which job leans to which side", look: "Each bar is the cosine of a word with the difference of the two words at the ends. To the left: nearer to the first. Change the ends or the words.", left: "Left end", right: "Right end", words: "Words", lost: "No vector for: {words}" },
  de: { title: "Welcher Beruf sich wohin neigt", look: "Jeder Balken ist der Kosinus eines Wortes mit der Differenz der beiden Wörter an den Enden. Nach links: näher am ersten. Ändere die Enden oder die Wörter. Die Texte dahinter sind englisch.", left: "Linkes Ende", right: "Rechtes Ende", words: "Wörter", lost: "Kein Vektor für: {words}" },
};
