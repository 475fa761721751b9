/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "The same beginning, continued by counts and by the model",
    look: "Each line draws token after token: by what followed the last n − 1 tokens in the corpus, at the end by the model. What stands in the corpus word for word is underlined.",
    again_drawn: "Draw anew",
    by_counts: "n = {n}",
    by_model: "the model",
    copied: "{share} copied",
    marked: "Underlined:",
    legend_own: "a stretch of at least {length} tokens that stands in {corpus}, which the model learned from.",
    legend_pulled: "a stretch of at least {length} tokens that stands in {corpus}. What the model itself learned from is not here, so it may have copied more.",
  },
  de: {
    title: "Derselbe Anfang, fortgesetzt durch Zählen und durch das Modell",
    look: "Jede Zeile zieht Token um Token: nach dem, was im Korpus auf die letzten n − 1 Tokens folgte, am Ende nach dem Modell. Was wörtlich im Korpus steht, ist unterstrichen.",
    again_drawn: "Neu ziehen",
    by_counts: "n = {n}",
    by_model: "das Modell",
    copied: "{share} abgeschrieben",
    marked: "Unterstrichen:",
    legend_own: "mindestens {length} Tokens am Stück, die so in {corpus} stehen, woraus das Modell gelernt hat.",
    legend_pulled: "mindestens {length} Tokens am Stück, die so in {corpus} stehen. Woraus das Modell selbst gelernt hat, liegt nicht vor; es kann also mehr abgeschrieben haben.",
  },
};
