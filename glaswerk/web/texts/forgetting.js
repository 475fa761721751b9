/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "What it cost: the corpus, predicted before and after",
    look: "How many bits each stage needs for a byte of the corpus's held-out texts, measured when the stage was finished. The base learned exactly this; the later stages learned something else. In brackets: the change against the base.",
    bits: "bits per byte on texts of the run {run} that no stage was trained on",
    missing: "Not measured: {stages}.",
    no_run: "The open model belongs to no run, so nobody wrote down what its stages cost. A run that does is made by",
  },
  de: {
    title: "Was es gekostet hat: der Korpus, vorhergesagt davor und danach",
    look: "So viele Bit braucht jede Stufe für ein Byte der zurückgehaltenen Texte des Korpus, gemessen am Ende der Stufe. Die Basis hat genau das gelernt, die späteren Stufen etwas anderes. In Klammern: die Änderung gegenüber der Basis.",
    bits: "Bit pro Byte auf Texten des Laufs {run}, mit denen keine Stufe trainiert wurde",
    missing: "Nicht gemessen: {stages}.",
    no_run: "Das offene Modell gehört zu keinem Lauf, darum hat niemand aufgeschrieben, was seine Stufen kosteten. Einen Lauf, der das tut, macht",
  },
};
