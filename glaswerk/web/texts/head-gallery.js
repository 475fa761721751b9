/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "A gallery of heads, sorted by what they look at",
    look: "Each small square is one head's map of your prompt: rows look at columns, as above. The order is measured, not drawn by hand: the heads that give most to the token before, to the first token, to themselves, or spread most evenly. Click one to open it.",
    order: "Show",
    previous: "token before", first: "first token", itself: "itself", even: "spread evenly", layer: "one layer",
    counted: "Of {count} heads, {previous} give more than half to the token before, {first} to the first token, {itself} to themselves; {even} spread evenly; {other} do none of this.",
    one: "Layer {layer}, head {head}",
    mean_previous: "to the token before", mean_first: "to the first token", mean_itself: "to itself", mean_even: "evenness",
    how: "Means over all tokens but the first. For the second token, the first and the one before are the same. Evenness: the entropy of a row, as a share of the most there can be; from 80 % on a head counts as even.",
  },
  de: {
    title: "Eine Galerie von Köpfen, danach geordnet, wohin sie sehen",
    look: "Jedes kleine Quadrat ist die Karte eines Kopfes zu deinem Prompt: Zeilen sehen Spalten an, wie oben. Die Ordnung ist gemessen: die Köpfe, die am meisten an das Token davor geben, an das erste Token, an sich selbst, oder die am gleichmäßigsten verteilen. Klick auf einen, um ihn zu öffnen.",
    order: "Zeigen",
    previous: "Token davor", first: "erstes Token", itself: "sich selbst", even: "gleichmäßig", layer: "eine Schicht",
    counted: "Von {count} Köpfen geben {previous} mehr als die Hälfte an das Token davor, {first} an das erste Token, {itself} an sich selbst; {even} verteilen gleichmäßig; {other} tun nichts davon.",
    one: "Schicht {layer}, Kopf {head}",
    mean_previous: "an das Token davor", mean_first: "an das erste Token", mean_itself: "an sich selbst", mean_even: "Gleichmaß",
    how: "Mittel über alle Tokens außer dem ersten. Beim zweiten Token sind das erste und das davor dasselbe. Gleichmaß: die Entropie einer Zeile als Anteil der größten, die möglich ist; ab 80 % gilt ein Kopf als gleichmäßig.",
  },
};
