/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "Wide queries need the root",
    look: "Random queries and keys, with and without the division. Each bar is the share that one of 8 keys gets from one query. The wider the queries, the more the undivided ones let one key take all.",
    width: "numbers per query, d",
    plain: "without dividing",
    divided: "divided by √d",
    spread: "spread of the scores",
    largest: "largest share, mean of {queries} queries",
    shares: "Shares of 8 keys, {how}",
  },
  de: {
    title: "Breite Queries brauchen die Wurzel",
    look: "Zufällige Queries und Keys, mit und ohne Teilen. Jeder Balken ist der Anteil, den einer von 8 Keys bei einer Query bekommt. Je breiter die Queries, desto mehr nimmt sich ohne Teilen ein einziger Key.",
    width: "Zahlen je Query, d",
    plain: "ohne Teilen",
    divided: "geteilt durch √d",
    spread: "Streuung der Scores",
    largest: "größter Anteil, Mittel aus {queries} Queries",
    shares: "Anteile von 8 Keys, {how}",
  },
};
