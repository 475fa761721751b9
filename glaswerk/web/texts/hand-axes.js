/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "Three words on two axes, made by hand",
    look: "Drag a point, or type its numbers. The distances follow.",
    sex: "female", age: "age", boy: "boy", man: "man", woman: "woman",
  },
  de: {
    title: "Drei Wörter auf zwei Achsen, von Hand gemacht",
    look: "Zieh einen Punkt oder gib seine Zahlen ein. Die Abstände folgen.",
    sex: "weiblich", age: "Alter", boy: "Junge", man: "Mann", woman: "Frau",
  },
};
