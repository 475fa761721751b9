/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "Drawing again and again: what is likely comes often, not always",
    look: "Each bar is how often a token was drawn, the line across it how often it should come by its probability. Few draws miss widely, many come close.",
    count: "draws",
    other_seed: "Another seed (now {seed})",
    bars: "Tokens, how often drawn and how often expected",
    rest: "all others",
    legend: "Right: times drawn / times expected.",
    off: "After {count} draws, this part of them fell elsewhere than the probabilities say:",
  },
  de: {
    title: "Immer wieder ziehen: Wahrscheinliches kommt oft, nicht immer",
    look: "Jeder Balken zeigt, wie oft ein Token gezogen wurde, der Strich darin, wie oft es nach seiner Wahrscheinlichkeit kommen müsste. Wenige Ziehungen liegen weit daneben, viele kommen nahe heran.",
    count: "Ziehungen",
    other_seed: "Anderer Seed (jetzt {seed})",
    bars: "Tokens, wie oft gezogen und wie oft erwartet",
    rest: "alle anderen",
    legend: "Rechts: gezogen / erwartet.",
    off: "Nach {count} Ziehungen fiel dieser Teil von ihnen anders, als die Wahrscheinlichkeiten sagen:",
  },
};
