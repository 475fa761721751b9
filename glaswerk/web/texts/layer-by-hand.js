/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "A neuron, then a layer, then a whole sentence",
    look: "x is the vector h of “von” from the last chapter, rounded. Each neuron has one row of W and one number of b. Change the framed numbers and see which neurons speak up; the curve shows where the chosen neuron stands on its activation function.",
    which: "Neuron", neuron: "neuron", bend: "Activation function", none: "none", relu: "ReLU", gelu: "GELU", silu: "SiLU",
    place: "place", grammar: "grammar", out: "after the bend",
    one_title: "One neuron.", one: "Its weights times the inputs, added up, plus its bias; then the bend. Neuron {neuron}:",
    all_title: "All neurons at once.", all: "Put the rows of weights under each other: one matrix, one product, every neuron.",
    words_title: "All words at once.", words: "Put {count} words under each other, and one product of two matrices serves all words and all neurons. This is what a graphics card does all day.",
    curve: "{bend}, with the neuron at {z}",
  },
  de: {
    title: "Ein Neuron, dann eine Schicht, dann ein ganzer Satz",
    look: "x ist der Vektor h von „von“ aus dem letzten Kapitel, gerundet. Jedes Neuron hat eine Zeile von W und eine Zahl von b. Ändere die eingerahmten Zahlen und sieh, welche Neuronen sich melden; die Kurve zeigt, wo das gewählte Neuron auf seiner Aktivierungsfunktion steht.",
    which: "Neuron", neuron: "Neuron", bend: "Aktivierungsfunktion", none: "keine", relu: "ReLU", gelu: "GELU", silu: "SiLU",
    place: "Ort", grammar: "Grammatik", out: "nach dem Knick",
    one_title: "Ein Neuron.", one: "Seine Gewichte mal die Eingaben, addiert, dazu sein Bias; dann der Knick. Neuron {neuron}:",
    all_title: "Alle Neuronen auf einmal.", all: "Schreib die Zeilen der Gewichte untereinander: eine Matrix, ein Produkt, alle Neuronen.",
    words_title: "Alle Wörter auf einmal.", words: "Schreib {count} Wörter untereinander, und ein einziges Produkt zweier Matrizen erledigt alle Wörter und alle Neuronen. Das ist es, was eine Grafikkarte den ganzen Tag tut.",
    curve: "{bend}, das Neuron steht bei {z}",
  },
};
