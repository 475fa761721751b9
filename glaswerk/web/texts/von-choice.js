/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "From h to the next word, with three words to choose from",
    look: "h is what “von” collected in chapter 4. Each word has one row of W_out and one head start b. Change any number: z, the powers and the shares follow.",
    h_of: "h, number {place}",
    w_of: "W_out of {word}, number {place}",
    b_of: "b of {word}",
    temperature: "Temperature T",
    word: "word",
    sum: "sum",
    argmax: "The largest share wins (argmax):",
  },
  de: {
    title: "Von h zum nächsten Wort, mit drei Wörtern zur Wahl",
    look: "h ist, was „von“ in Kapitel 4 gesammelt hat. Jedes Wort hat eine Zeile von W_out und einen Vorsprung b. Ändere irgendeine Zahl: z, die Potenzen und die Anteile ziehen nach.",
    h_of: "h, Zahl {place}",
    w_of: "W_out von {word}, Zahl {place}",
    b_of: "b von {word}",
    temperature: "Temperatur T",
    word: "Wort",
    sum: "Summe",
    argmax: "Der größte Anteil gewinnt (Argmax):",
  },
};
