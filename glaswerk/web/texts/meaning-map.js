/** @type {import("../figure.js").Texts} */
export default {
  en: { title: "A flat map of meaning", look: "The vectors of these words, seen along the two directions in which they differ most (PCA). Near on the map is often, but not always, near in the space. Change the words.", words: "Words (at most 60)", kept: "Of all differences among these vectors of {width} numbers, the first direction keeps {first} and the second {second}; {lost} are not on the map.", lost: "No vector for: {words}" },
  de: { title: "Eine flache Karte der Bedeutung", look: "Die Vektoren dieser Wörter, entlang der zwei Richtungen gesehen, in denen sie sich am meisten unterscheiden (PCA). Nah auf der Karte heißt oft, aber nicht immer, nah im Raum. Ändere die Wörter.", words: "Wörter (höchstens 60)", kept: "Von allen Unterschieden zwischen diesen Vektoren aus {width} Zahlen behält die erste Richtung {first} und die zweite {second}; {lost} fehlen auf der Karte.", lost: "Kein Vektor für: {words}" },
};
