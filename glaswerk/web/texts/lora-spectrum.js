/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "How many directions does a change have?",
    look: "The singular values of what training added to one layer's matrices for queries, keys and values, largest first. Left by an adapter of the chosen rank, right by training the matrices whole, without any limit.",
    rank: "rank",
    lora: "singular values, rank {rank}",
    whole: "singular values, trained whole",
    place: "place",
    going: "being trained, where it was not yet",
    share: "of the free change of {name} lies in its first {rank} directions",
  },
  de: {
    title: "Wie viele Richtungen hat eine Änderung?",
    look: "Die Singulärwerte dessen, was das Training zu den Matrizen für Query, Key und Value einer Schicht hinzugefügt hat, der größte zuerst. Links durch einen Adapter vom gewählten Rang, rechts durch Training der ganzen Matrizen, ohne jede Schranke.",
    rank: "Rang",
    lora: "Singulärwerte, Rang {rank}",
    whole: "Singulärwerte, ganz trainiert",
    place: "Platz",
    going: "wird trainiert, soweit das noch nicht geschehen ist",
    share: "der freien Änderung von {name} liegen in ihren ersten {rank} Richtungen",
  },
};
