/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "Calculating with words: b − a + c",
    look: "Left: the words nearest to the point that the sum leads to. Right: how many analogies of a fixed list have the right word in first place. A word is left out where it has no vector.",
    samples: "Try", inputs: "The three given words", forbidden: "may not be the answer", allowed: "may be the answer",
    score: "{asked} analogies tested", right_of: "{right} of {asked}", together: "together",
    capital: "capitals", gender: "gender", verb: "verbs", form: "other forms",
  },
  de: {
    title: "Mit Wörtern rechnen: b − a + c",
    look: "Links die Wörter, die dem Ergebnis am nächsten liegen. Rechts, bei wie vielen Analogien einer festen Liste das richtige Wort auf dem ersten Platz steht. Wo ein Wort keinen Vektor hat, fällt die Analogie weg.",
    samples: "Probiere", inputs: "Die drei gegebenen Wörter", forbidden: "dürfen nicht die Antwort sein", allowed: "dürfen die Antwort sein",
    score: "{asked} Analogien geprüft", right_of: "{right} von {asked}", together: "zusammen",
    capital: "Hauptstädte", gender: "Geschlecht", verb: "Verben", form: "andere Formen",
  },
};
