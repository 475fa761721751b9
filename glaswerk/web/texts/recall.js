/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "What comes back",
    look: "The model reads the beginning of a passage and goes on greedily. Compare with how the passage really goes on; dashed tokens stand elsewhere or not at all.",
    another: "Another passage",
    begun: "What the model reads",
    own: "from {corpus}, its training text",
    pulled: "from {corpus}, which may have been in its training text or not",
    true: "How it goes on",
    made: "What the model writes",
    hits: "{hits} of {all} tokens are the same at the same place; the first {heart} in a row.",
    size: "The model has {parameters} weights, {weights} MB at two bytes each. The counted text of {corpus} has {text} MB.",
  },
  de: {
    title: "Was zurückkommt",
    look: "Das Modell liest den Anfang einer Stelle und schreibt greedy weiter. Vergleiche damit, wie die Stelle wirklich weitergeht; gestrichelte Tokens stehen woanders oder gar nicht da.",
    another: "Eine andere Stelle",
    begun: "Was das Modell liest",
    own: "aus {corpus}, seinem Trainingstext",
    pulled: "aus {corpus}, das in seinem Trainingstext gewesen sein kann oder nicht",
    true: "Wie es weitergeht",
    made: "Was das Modell schreibt",
    hits: "{hits} von {all} Tokens stehen gleich an derselben Stelle; davon die ersten {heart} in Folge.",
    size: "Das Modell hat {parameters} Gewichte, bei zwei Byte je Gewicht {weights} MB. Der gezählte Text von {corpus} hat {text} MB.",
  },
};
