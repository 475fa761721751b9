/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "The same layers, three masks, three kinds of model",
    look: "Rows look at columns; a dot means that a weight is allowed, an empty place that the score is set to −∞. Click a word to read its row.",
    which: "Model", gpt: "GPT: decoder", bert: "BERT: encoder", t5: "T5: encoder and decoder",
    says_gpt: "Every token sees itself and what came before. So each place can be trained to predict the next token, and the model can write.",
    says_bert: "Every token sees every other. One word was hidden and is to be guessed from both sides: good for understanding a text, no use for writing one.",
    says_t5: "An encoder reads one text in both directions. A decoder writes another, sees its own words so far, and looks at all of the first through cross-attention.",
    table_gpt: "self-attention", table_bert: "self-attention", table_t5_encoder: "encoder: self-attention", table_t5_decoder: "decoder: self-attention", table_t5_cross: "decoder: cross-attention",
    sees: "“{word}” sees {count} of {of}:", may: "may look", not: "may not look",
  },
  de: {
    title: "Dieselben Schichten, drei Masken, drei Arten von Modell",
    look: "Zeilen sehen Spalten an; ein Punkt heißt, dass ein Gewicht erlaubt ist, eine leere Stelle, dass der Score −∞ wird. Klick auf ein Wort, um seine Zeile zu lesen.",
    which: "Modell", gpt: "GPT: Decoder", bert: "BERT: Encoder", t5: "T5: Encoder und Decoder",
    says_gpt: "Jedes Token sieht sich selbst und was davor kam. So lässt sich an jedem Platz lernen, das nächste Token vorherzusagen, und das Modell kann schreiben.",
    says_bert: "Jedes Token sieht jedes andere. Ein Wort wurde verdeckt und soll von beiden Seiten her erraten werden: gut, um einen Text zu verstehen, unbrauchbar, um einen zu schreiben.",
    says_t5: "Ein Encoder liest einen Text in beide Richtungen. Ein Decoder schreibt einen anderen, sieht seine eigenen Wörter bis dahin und über Cross-Attention den ganzen ersten.",
    table_gpt: "Self-Attention", table_bert: "Self-Attention", table_t5_encoder: "Encoder: Self-Attention", table_t5_decoder: "Decoder: Self-Attention", table_t5_cross: "Decoder: Cross-Attention",
    sees: "„{word}“ sieht {count} von {of}:", may: "darf hinsehen", not: "darf nicht hinsehen",
  },
};
