/** @type {import("../figure.js").Texts} */
export default {
  en: { title: "“He” or “she”, by the open model", look: "How likely the open model goes on with each of the two words, after each sentence. Bars are drawn against the larger one. Change the job.", sentence: "Sentence {place}" },
  de: { title: "„He“ oder „she“, nach dem offenen Modell", look: "Für wie wahrscheinlich das offene Modell jedes der beiden Wörter nach jedem Satz hält. Die Balken beziehen sich auf das größere. Ändere den Beruf.", sentence: "Satz {place}" },
};
