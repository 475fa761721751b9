/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "Every weight of {name}",
    look: "Each area holds as many parameters as it is large. Choose one: how its numbers are spread, and a picture of it. These numbers are all that training changed.",
    map: "Parameters as areas; {count} in all",
    what: "weights", layer: "layer", shape: "shape", numbers: "numbers", mean: "mean", deviation: "standard deviation", range: "smallest, largest",
    histogram: "How many numbers have which value", beyond: "The two end bars also hold what lies beyond.",
    picture: "A picture of the numbers", picture_how: "One row per output, one column per input.",
    cells: "A picture of the numbers’ size", cells_how: "Rows are outputs, columns inputs; a cell is the root mean square of the numbers that fall into it.",
    seen: "{seen} of its {numbers} numbers are looked at, in whole rows spread evenly.",
    embedding: "embedding", position: "positions", q: "query", k: "key", v: "value", o: "attention output", gate: "MLP gate", up: "MLP up", down: "MLP down",
    attention_norm: "norm before attention", mlp_norm: "norm before the MLP", q_norm: "norm of the queries", k_norm: "norm of the keys", norm: "last norm", head: "output head",
  },
  de: {
    title: "Jedes Gewicht von {name}",
    look: "Jede Fläche enthält so viele Parameter, wie sie groß ist. Wähle eine: wie sich ihre Zahlen verteilen, und ein Bild davon. Diese Zahlen sind alles, was das Training verändert hat.",
    map: "Parameter als Flächen; zusammen {count}",
    what: "Gewichte", layer: "Schicht", shape: "Form", numbers: "Zahlen", mean: "Mittel", deviation: "Standardabweichung", range: "kleinste, größte",
    histogram: "Wie viele Zahlen welchen Wert haben", beyond: "Die beiden äußeren Balken enthalten auch, was dahinter liegt.",
    picture: "Ein Bild der Zahlen", picture_how: "Eine Zeile je Ausgang, eine Spalte je Eingang.",
    cells: "Ein Bild davon, wie groß die Zahlen sind", cells_how: "Zeilen sind Ausgänge, Spalten Eingänge; ein Feld ist das quadratische Mittel der Zahlen, die hineinfallen.",
    seen: "Betrachtet werden {seen} der {numbers} Zahlen, in ganzen, gleichmäßig verteilten Zeilen.",
    embedding: "Embedding", position: "Positionen", q: "Query", k: "Key", v: "Value", o: "Attention-Ausgang", gate: "MLP-Gate", up: "MLP hinauf", down: "MLP hinab",
    attention_norm: "Norm vor der Attention", mlp_norm: "Norm vor dem MLP", q_norm: "Norm der Queries", k_norm: "Norm der Keys", norm: "letzte Norm", head: "Ausgabe",
  },
};
