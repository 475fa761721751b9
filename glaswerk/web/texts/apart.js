/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "Near in letters is not near in meaning",
    look: "Each word as its letters' numbers (ASCII), how many letters must change to get to it from the first word, and how near GloVe's vectors put the two: 1 is the same direction, 0 has nothing in common. Change the words.",
    word: "Word", codes: "Numbers of its letters", changes: "letters from “{first}”", cosine_with: "cosine with “{first}”",
    nth: "Word {place}", begin: "How the vectors begin; each has {width} numbers:",
  },
  de: {
    title: "Ähnliche Buchstaben, ganz andere Bedeutung",
    look: "Jedes Wort als Nummern seiner Buchstaben (ASCII), wie viele Buchstaben man vom ersten Wort aus ändern muss, und wie nah GloVe die beiden sieht: 1 heißt dieselbe Richtung, 0 heißt nichts gemeinsam. Ändere die Wörter.",
    word: "Wort", codes: "Nummern der Buchstaben", changes: "Buchstaben ab „{first}“", cosine_with: "Kosinus mit „{first}“",
    nth: "Wort {place}", begin: "So beginnen die Vektoren; jeder hat {width} Zahlen:",
  },
};
