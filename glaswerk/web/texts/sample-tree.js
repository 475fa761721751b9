/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "Sixteen samples of one prompt, as a tree",
    look: "From left to right, token by token. Samples that have read alike so far share a branch; its thickness and the ×number say how many. Each fork is a draw that fell differently.",
    temperature: "Temperature",
    again_drawn: "Draw anew",
    tree: "Tree of samples, scrolls sideways",
    node: "{count} samples; the model gives this beginning {share}",
    end: "(end)",
    different: "{samples} samples of {depth} tokens, {different} different texts among them.",
    first_before: "Most begin with",
    first: ": {count} of {samples}; at temperature 1 its probability is {share}.",
  },
  de: {
    title: "Sechzehn Ziehungen aus einem Prompt, als Baum",
    look: "Von links nach rechts, Token für Token. Ziehungen, die bis hierher gleich lauten, teilen sich einen Ast; seine Dicke und die ×Zahl sagen, wie viele. An jeder Gabel fiel das Los verschieden.",
    temperature: "Temperatur",
    again_drawn: "Neu ziehen",
    tree: "Baum der Ziehungen, lässt sich seitwärts schieben",
    node: "{count} Ziehungen; das Modell gibt diesem Anfang {share}",
    end: "(Ende)",
    different: "{samples} Ziehungen von {depth} Tokens, darunter {different} verschiedene Texte.",
    first_before: "Am häufigsten beginnt es mit",
    first: ": {count} von {samples}; bei Temperatur 1 hat es die Wahrscheinlichkeit {share}.",
  },
};
