/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "A line finds two points, downhill",
    look: "Left the points and the line; the red strokes are its errors. Right the loss for every pair of w and b, the darker the higher: training is a walk to its lowest place. Move the step, then try other learning rates.",
    step: "step",
    rate: "learning rate η",
    begin: "This is where it begins, w and b chosen at will.",
    line: "Two points and a line with w = {w} and b = {b}",
    valley: "The loss over w and b, and the way that was walked",
  },
  de: {
    title: "Eine Gerade findet zwei Punkte, bergab",
    look: "Links die Punkte und die Gerade; die roten Striche sind ihre Fehler. Rechts der Verlust für jedes Paar aus w und b, je dunkler, desto höher: Training ist ein Weg zur tiefsten Stelle. Verschieb den Schritt, dann probier andere Lernraten.",
    step: "Schritt",
    rate: "Lernrate η",
    begin: "Hier geht es los, mit beliebig gewähltem w und b.",
    line: "Zwei Punkte und eine Gerade mit w = {w} und b = {b}",
    valley: "Der Verlust über w und b, und der gegangene Weg",
  },
};
