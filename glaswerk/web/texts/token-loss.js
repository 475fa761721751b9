/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "The open model's loss, token by token",
    look: "Below each token stands −ln of the probability that the model gave it, knowing only what stands before it: the darker, the more surprising. The first token is never predicted. Type a text, choose a token.",
    choose: "Tokens with their loss",
    told: "{token} had a probability of {share}:",
    right: "It was the likeliest one.",
    bet: "The likeliest one would have been {token}, with {share}.",
    mean: "mean loss of this text",
    perplexity: "perplexity",
    blind: "blind among all {count} tokens",
  },
  de: {
    title: "Der Verlust des offenen Modells, Token für Token",
    look: "Unter jedem Token steht −ln der Wahrscheinlichkeit, die ihm das Modell gab, als es nur das davor kannte: je dunkler, desto überraschender. Das erste Token wird nie vorhergesagt. Gib einen Text ein und wähle ein Token.",
    choose: "Tokens mit ihrem Verlust",
    told: "{token} hatte eine Wahrscheinlichkeit von {share}:",
    right: "Es war das wahrscheinlichste.",
    bet: "Das wahrscheinlichste wäre {token} gewesen, mit {share}.",
    mean: "mittlerer Verlust dieses Textes",
    perplexity: "Perplexität",
    blind: "blind unter allen {count} Tokens",
  },
};
