/** @type {import("../figure.js").Texts} */
const texts = {
  en: {
    title: "Due today",
    look: "One question at a time. The keys 1 to 9 choose, Enter goes on.",
    from: "from", new: "new",
    right: "Right.", wrong: "Not quite.",
    how: "How well did you know it?", rate_1: "guessed", rate_2: "with effort", rate_3: "knew it", rate_4: "too easy",
    next: "Next question", practice: "Once more, for practice; this answer does not count.",
    elsewhere: "This question was already answered today, in another window. That answer counts, this one does not.",
    place: "{at} of {of}",
    nothing: "Nothing is due today.", done: "Done for today: {right} of {count} right at the first try.",
    coming: "The next {count} come back {when}.", coming_1: "The next one comes back {when}.",
    ahead: "How many come back in the next {days} days", today: "today",
    add: "Take up new questions", add_one: "{number} · {title}", add_count: "{count} new",
    all: "Back to what is due in all chapters", chapter: "Only chapter {number}, its new questions too",
    keep: "Keep your answers", export: "Save all answers as a file", import: "Add a file’s answers",
    added: "{count} answers added.", added_1: "1 answer added.",
    static: "What you know is kept by the lab on your own computer: run “glaswerk lab” and open this page there.",
  },
  de: {
    title: "Heute fällig",
    look: "Eine Frage nach der anderen. Die Tasten 1 bis 9 wählen, Enter geht weiter.",
    from: "aus", new: "neu",
    right: "Richtig.", wrong: "Nicht ganz.",
    how: "Wie gut wusstest du es?", rate_1: "geraten", rate_2: "mit Mühe", rate_3: "gewusst", rate_4: "zu leicht",
    next: "Nächste Frage", practice: "Noch einmal, zur Übung; diese Antwort zählt nicht.",
    elsewhere: "Diese Frage ist heute schon in einem anderen Fenster beantwortet worden. Jene Antwort zählt, diese nicht.",
    place: "{at} von {of}",
    nothing: "Heute ist nichts fällig.", done: "Für heute fertig: {right} von {count} auf Anhieb richtig.",
    coming: "Die nächsten {count} kommen {when} wieder.", coming_1: "Die nächste kommt {when} wieder.",
    ahead: "Wie viele in den nächsten {days} Tagen wiederkommen", today: "heute",
    add: "Neue Fragen aufnehmen", add_one: "{number} · {title}", add_count: "{count} neu",
    all: "Zurück zu dem, was in allen Kapiteln fällig ist", chapter: "Nur Kapitel {number}, auch seine neuen Fragen",
    keep: "Deine Antworten sichern", export: "Alle Antworten als Datei speichern", import: "Antworten einer Datei dazunehmen",
    added: "{count} Antworten dazugekommen.", added_1: "1 Antwort dazugekommen.",
    static: "Was du weißt, hält das Labor auf deinem eigenen Rechner fest: Starte „glaswerk lab“ und öffne diese Seite dort.",
  },
};
export default texts;

/** In how many days, in words. @param {"en"|"de"} language @param {number} days */
export const inDays = (language, days) =>
  new Intl.RelativeTimeFormat(language, { numeric: days < 2 ? "auto" : "always" }).format(days, "day");
