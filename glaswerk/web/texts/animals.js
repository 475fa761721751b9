/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "Ten animals on three axes, placed by you",
    look: "To the right: how tame. Up: how dangerous. The dot's size: how large. Choose an animal and move it; the table shows which others are nearest then, beside what GloVe found in texts.",
    map: "Map of ten animals", animal: "Animal", size: "size", tame: "tame", dangerous: "dangerous",
    nearest: "Nearest to {animal}", distance: "distance", rank: "GloVe's rank",
    mouse: "mouse", cat: "cat", dog: "dog", horse: "horse", cow: "cow", wolf: "wolf", lion: "lion", shark: "shark", snake: "snake", elephant: "elephant",
  },
  de: {
    title: "Zehn Tiere auf drei Achsen, von dir gesetzt",
    look: "Nach rechts: wie zahm. Nach oben: wie gefährlich. Größe des Punktes: wie groß. Wähle ein Tier und verschiebe es; die Tabelle zeigt, welche anderen ihm dann am nächsten sind, neben dem, was GloVe in (englischen) Texten gefunden hat.",
    map: "Karte von zehn Tieren", animal: "Tier", size: "Größe", tame: "zahm", dangerous: "gefährlich",
    nearest: "Am nächsten bei: {animal}", distance: "Abstand", rank: "Rang bei GloVe",
    mouse: "Maus", cat: "Katze", dog: "Hund", horse: "Pferd", cow: "Kuh", wolf: "Wolf", lion: "Löwe", shark: "Hai", snake: "Schlange", elephant: "Elefant",
  },
};
