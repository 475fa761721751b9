/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "A leak looks like skill",
    look: "Points with labels thrown by a coin: there is nothing to learn. The model says of each point what its nearest known neighbour was. The hatched band is what chance gives in 95 of 100 cases. Move a share of the test points into the training data.",
    share: "share of the test that leaked",
    accuracy: "right on the test",
    right: "right answers",
    leaked: "points known beforehand",
    clean: "right on those that did not leak",
  },
  de: {
    title: "Ein Leck sieht nach Können aus",
    look: "Punkte, deren Antworten die Münze geworfen hat: Zu lernen gibt es nichts. Das Modell sagt von jedem Punkt, was der nächste bekannte Nachbar war. Das schraffierte Band gibt der Zufall in 95 von 100 Fällen. Schieb einen Teil der Testpunkte in die Trainingsdaten.",
    share: "Anteil des Tests, der durchsickerte",
    accuracy: "richtig im Test",
    right: "richtige Antworten",
    leaked: "schon bekannte Punkte",
    clean: "richtig bei denen, die nicht durchsickerten",
  },
};
