/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "What a text costs when the model sets the prices",
    look: "The bar below a token is its price in bits: one bit for a probability of one half, one more for each further halving. What the model expected is nearly free. The first token has nothing before it and pays as if all were equally likely.",
    text: "Text", unit: "{count} bits",
    costs: "Tokens with their price in bits",
    bytes: "as it is stored, 8 bits per byte",
    zlib: "packed with zlib",
    even: "all tokens equally likely",
    model_code: "with the model's probabilities",
    per_byte: "That is {bits} bits per byte. Whoever unpacks it needs the same model.",
  },
  de: {
    title: "Was ein Text kostet, wenn das Modell die Preise macht",
    look: "Der Balken unter einem Token ist sein Preis in Bit: ein Bit bei der Wahrscheinlichkeit ein halb, eins mehr bei jeder weiteren Halbierung. Was das Modell erwartet hat, kostet fast nichts. Vor dem ersten Token steht nichts; es zahlt, als wären alle gleich wahrscheinlich.",
    text: "Text", unit: "{count} Bit",
    costs: "Tokens mit ihrem Preis in Bit",
    bytes: "wie gespeichert, 8 Bit je Byte",
    zlib: "gepackt mit zlib",
    even: "alle Tokens gleich wahrscheinlich",
    model_code: "mit den Wahrscheinlichkeiten des Modells",
    per_byte: "Das sind {bits} Bit pro Byte. Wer es auspacken will, braucht dasselbe Modell.",
  },
};
