/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "The same head, looking at its own sentence and at another one",
    look: "Both tables are the head from the worked example, with the same three matrices. Left, queries, keys and values come from the German words, and the future is masked. Right, only the queries do: keys and values come from an English sentence that is there as a whole, so nothing is masked. Rows add up to 1.",
    who: "Which word looks",
    self: "Self-attention", cross: "Cross-attention",
    self_label: "German looks at German", cross_label: "German looks at English",
    self_says: "“{word}” collects from the words up to itself:", cross_says: "“{word}” collects from the whole other sentence:",
    and: ", ",
  },
  de: {
    title: "Derselbe Kopf vor seinem eigenen Satz und vor einem anderen",
    look: "Beide Tabellen zeigen den Kopf aus dem gerechneten Beispiel, mit denselben drei Matrizen. Links kommen Queries, Keys und Values aus den deutschen Wörtern, und die Zukunft ist verdeckt. Rechts kommen nur die Queries von dort: Keys und Values stammen aus einem englischen Satz, der als Ganzes vorliegt, also wird nichts verdeckt. Jede Zeile ergibt 1.",
    who: "Welches Wort hinsieht",
    self: "Self-Attention", cross: "Cross-Attention",
    self_label: "Deutsch sieht Deutsch an", cross_label: "Deutsch sieht Englisch an",
    self_says: "„{word}“ sammelt bei den Wörtern bis zu sich selbst:", cross_says: "„{word}“ sammelt beim ganzen anderen Satz:",
    and: "; ",
  },
};
