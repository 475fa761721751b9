// Names of the vocabularies that chapter 2 compares, and what is said where one is missing.
/** @type {import("../figure.js").Texts} */
export default {
  en: {
    characters: "characters",
    words: "words",
    wordpiece: "WordPiece (BERT)",
    bpe: "BPE, learned here",
    gpt2: "GPT-2",
    cl100k: "cl100k (GPT-4)",
    o200k: "o200k (GPT-4o)",
    open: "the open model",
    not_pulled: "not on this machine yet; get it with",
    lost: "this text has no number; it is lost",
  },
  de: {
    characters: "Zeichen",
    words: "Wörter",
    wordpiece: "WordPiece (BERT)",
    bpe: "BPE, hier gelernt",
    gpt2: "GPT-2",
    cl100k: "cl100k (GPT-4)",
    o200k: "o200k (GPT-4o)",
    open: "das offene Modell",
    not_pulled: "noch nicht auf diesem Rechner; du holst es mit",
    lost: "dieser Text hat keine Nummer; er geht verloren",
  },
};
