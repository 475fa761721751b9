/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "Columns times rows make a whole matrix",
    look: "Every number of ΔW is a number of B times a number of A (with two columns: the sum of two such products). Switch between one and two.",
    rank: "rank",
    narrow: "numbers in B and A",
    full: "numbers in ΔW",
    values: "singular values of ΔW that are not 0",
  },
  de: {
    title: "Spalten mal Zeilen ergeben eine ganze Matrix",
    look: "Jede Zahl in ΔW ist eine Zahl aus B mal einer Zahl aus A (bei zwei Spalten: die Summe zweier solcher Produkte). Schalte zwischen einer und zwei um.",
    rank: "Rang",
    narrow: "Zahlen in B und A",
    full: "Zahlen in ΔW",
    values: "Singulärwerte von ΔW, die nicht 0 sind",
  },
};
