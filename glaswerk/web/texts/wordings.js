/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "The same request in ten wordings",
    look: "Each line asks the open model for the same capitals in other words. The dot is the share of right answers, the bar its 95 % interval, ⏎ a line end. With two examples, the same wording stands before the question twice, with its answers.",
    examples: "before the question",
    none: "nothing", two: "two examples",
    start: "Try all wordings", stop: "Stop", on: "Go on", over: "Once more",
    progress: "Wordings tried",
    done: "All wordings are tried.",
    span: "from the worst to the best wording",
    average: "mean over wordings",
    deviation: "points of standard deviation over wordings",
    interval: "95 % interval {low} to {high}",
  },
  de: {
    title: "Dieselbe Bitte in zehn Formulierungen",
    look: "Jede Zeile fragt das offene Modell mit anderen Worten nach denselben Hauptstädten. Der Punkt ist der Anteil richtiger Antworten, der Balken sein 95-%-Intervall, ⏎ ein Zeilenende. Mit zwei Beispielen steht dieselbe Formulierung zweimal samt Antwort vor der Frage.",
    examples: "vor der Frage",
    none: "nichts", two: "zwei Beispiele",
    start: "Alle Formulierungen versuchen", stop: "Anhalten", on: "Weiter", over: "Noch einmal",
    progress: "Versuchte Formulierungen",
    done: "Alle Formulierungen sind versucht.",
    span: "von der schlechtesten zur besten Formulierung",
    average: "Mittel über die Formulierungen",
    deviation: "Punkte Standardabweichung über die Formulierungen",
    interval: "95-%-Intervall {low} bis {high}",
  },
};
