/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "WordPiece takes the longest piece that fits",
    look: "One line per piece. Struck out: what was looked for and is not in the list. Outlined: the first that is. ## means that the piece stands inside a word.",
    word: "Word",
    which: "Pieces that are known",
    few: "a short list",
    all: "BERT's",
    known: "The list; change it",
    size: "{size} pieces are known.",
    looked: "{tries} look-ups",
  },
  de: {
    title: "WordPiece nimmt das längste Stück, das passt",
    look: "Eine Zeile je Stück. Durchgestrichen: was gesucht wurde und nicht in der Liste steht. Umrandet: das erste, das dort steht. ## heißt, dass das Stück im Wortinneren steht.",
    word: "Wort",
    which: "Bekannte Stücke",
    few: "eine kurze Liste",
    all: "die von BERT",
    known: "Die Liste; ändere sie",
    size: "{size} Stücke sind bekannt.",
    looked: "{tries}-mal nachgesehen",
  },
};
