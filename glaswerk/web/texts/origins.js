// Where word vectors come from, as chapter 3's figures name it.
/** @type {import("../figure.js").Texts} */
export default {
  en: {
    origin: "Vectors from",
    glove: "GloVe",
    trained: "word2vec, trained here",
    open: "the open model",
    no_vector: "“{word}” has no vector here. Try another word, or other vectors.",
    not_pulled: "not on this machine yet; get it with",
    cosine: "cosine",
  },
  de: {
    origin: "Vektoren von",
    glove: "GloVe",
    trained: "word2vec, hier trainiert",
    open: "dem offenen Modell",
    no_vector: "„{word}“ hat hier keinen Vektor. Probiere ein anderes Wort oder andere Vektoren.",
    not_pulled: "noch nicht auf diesem Rechner; du holst es mit",
    cosine: "Kosinus",
  },
};
