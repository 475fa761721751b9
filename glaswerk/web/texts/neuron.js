/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "One of the open model's own neurons",
    look: "The list starts with the neurons that speak loudest at the marked token. Each bar is one product: a weight of the neuron times a number of the vector it reads. Their sum, bent, is what the neuron says. Click a token to see what it says there.",
    neuron: "Neuron (what it says)", choose: "Choose a token",
    along: "What neuron {neuron} says at each token",
    here: "Neuron {neuron} of {count}, at {token}",
    terms: "{count} products, added up", first_terms: "The largest of them:",
    sum: "sum of the products", traced: "the same, from the trace", gelu: "after GELU", silu: "after SiLU: the gate", up: "the second row's sum", post: "what it says",
    silent: "At {token}, {silent} of {count} neurons say less than a hundredth of what the loudest says.",
  },
  de: {
    title: "Ein Neuron des offenen Modells",
    look: "Die Liste beginnt mit den Neuronen, die beim markierten Token am lautesten sind. Jeder Balken ist ein Produkt: ein Gewicht des Neurons mal eine Zahl des Vektors, den es liest. Ihre Summe, geknickt, ist das, was das Neuron sagt. Klick auf ein Token, um zu sehen, was es dort sagt.",
    neuron: "Neuron (was es sagt)", choose: "Wähle ein Token",
    along: "Was Neuron {neuron} bei jedem Token sagt",
    here: "Neuron {neuron} von {count}, bei {token}",
    terms: "{count} Produkte, addiert", first_terms: "Die größten davon:",
    sum: "Summe der Produkte", traced: "dasselbe aus der Aufzeichnung", gelu: "nach GELU", silu: "nach SiLU: das Tor", up: "Summe der zweiten Zeile", post: "was es sagt",
    silent: "Bei {token} sagen {silent} von {count} Neuronen weniger als ein Hundertstel dessen, was das lauteste sagt.",
  },
};
