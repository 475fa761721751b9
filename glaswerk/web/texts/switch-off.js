/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "Switch a part off and see what the model loses",
    look: "Loss is how surprised the model is by the next token, in nats, averaged: 0 is certainty. Each switch takes a part out of the open model's real forward pass: attention, MLP or a head then add nothing, a norm lets its input through, and without the residual stream a part's result stands alone. Switches add up.",
    switch: "Off in this layer", attention: "attention", mlp: "MLP", norm: "norms", residual: "residual", one_head: "head {head}", all_layers: "all layers",
    everywhere: "Off in the whole model", position: "positions", mask: "mask", off: "Off now:", nothing: "nothing", back: "Switch on again: {part}",
    whole: "all parts on", now: "with these off", blind: "blind guess, all tokens alike",
    source_own: "Loss over {count} tokens of a text written for this chapter, which no model has read in training.", source_val: "Loss over {count} tokens of your run's validation split, which it did not train on.", source_given: "Loss over {count} tokens of your text.",
    broken: "none", overflow: "Without these parts the numbers grow past what 32 bits can hold: there is no loss any more.", better: "The right token has become {times} times as probable (geometric mean).",
    worse: "The right token has become {times} times as improbable (geometric mean).", each: "By how much each token's loss rises",
    text: "A text of your own (empty: the held-out one)", sweep: "One layer after the other", sweep_none: "no", sweep_label: "Loss with {part} off in one layer, for each layer from 0",
    sweep_says: "One bar per layer, from 0: the loss with the {part} of only that layer off ({whole} with all on; first {count} tokens). Layer {worst} hurts most: {loss}.",
  },
  de: {
    title: "Schalte einen Teil ab und sieh, was dem Modell fehlt",
    look: "Der Verlust sagt, wie sehr das nächste Token das Modell überrascht, in Nat, im Mittel: 0 ist Gewissheit. Jeder Schalter nimmt einen Teil aus dem echten Durchlauf des offenen Modells: Attention, MLP oder Kopf tragen dann nichts bei, eine Norm lässt ihre Eingabe durch, und ohne Residualstrom steht das Ergebnis eines Teils allein. Schalter addieren sich.",
    switch: "In dieser Schicht aus", attention: "Attention", mlp: "MLP", norm: "Normen", residual: "Residual", one_head: "Kopf {head}", all_layers: "alle Schichten",
    everywhere: "Im ganzen Modell aus", position: "Positionen", mask: "Maske", off: "Jetzt aus:", nothing: "nichts", back: "Wieder einschalten: {part}",
    whole: "alle Teile an", now: "mit diesen aus", blind: "blind geraten, alle Tokens gleich",
    source_own: "Verlust über {count} Tokens eines Textes, der für dieses Kapitel geschrieben wurde und den kein Modell im Training gelesen hat.", source_val: "Verlust über {count} Tokens aus dem Validierungsteil deines Laufs, mit dem nicht trainiert wurde.", source_given: "Verlust über {count} Tokens deines Textes.",
    broken: "keiner", overflow: "Ohne diese Teile wachsen die Zahlen über das hinaus, was 32 Bit fassen: Es gibt keinen Verlust mehr.", better: "Das richtige Token ist {times}-mal so wahrscheinlich geworden (geometrisches Mittel).",
    worse: "Das richtige Token ist {times}-mal so unwahrscheinlich geworden (geometrisches Mittel).", each: "Um wie viel der Verlust jedes Tokens steigt",
    text: "Ein eigener Text (leer: der zurückgehaltene)", sweep: "Eine Schicht nach der anderen", sweep_none: "nein", sweep_label: "Verlust ohne {part} in einer Schicht, für jede Schicht ab 0",
    sweep_says: "Ein Balken je Schicht, ab 0: der Verlust, wenn nur dort „{part}“ aus ist ({whole} mit allen Teilen; die ersten {count} Tokens). Am meisten schadet Schicht {worst}: {loss}.",
  },
};
