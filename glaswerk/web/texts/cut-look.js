/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "Looking much is not mattering much",
    look: "The heads of the open model that look hardest from one token to another. For each, that one weight was set to 0 and the rest of the model computed again: how much of the probability of the next token then changes hands? The last column ranks the effect.",
    looks: "The token at the end of", at: "looks at the end of",
    caption: "{shown} of {count} heads, from {from} to {to}", which: "layer.head",
    weight: "weight", moved: "moved when cut", rank: "rank",
    all: "Cut in all {count} heads at once, from {from} to {to}:",
    next: "What comes next", before: "as it is", after: "cut in all heads",
  },
  de: {
    title: "Viel hinsehen heißt nicht viel bewirken",
    look: "Die Köpfe des offenen Modells, die am stärksten von einem Token auf ein anderes sehen. Für jeden wurde dieses eine Gewicht auf 0 gesetzt und der Rest des Modells neu gerechnet: Wie viel der Wahrscheinlichkeit des nächsten Tokens wandert dann? Die letzte Spalte ordnet nach der Wirkung.",
    looks: "Das Token am Ende von", at: "sieht auf das Ende von",
    caption: "{shown} von {count} Köpfen, von {from} auf {to}", which: "Schicht.Kopf",
    weight: "Gewicht", moved: "wandert", rank: "Rang",
    all: "In allen {count} Köpfen zugleich gekappt, von {from} auf {to}:",
    next: "Was als Nächstes kommt", before: "wie es ist", after: "in allen Köpfen gekappt",
  },
};
