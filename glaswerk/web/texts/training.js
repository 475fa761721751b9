/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "How the run {run} learns",
    look: "The loss of every logged step, as training writes it: how surprised the model still is by the next token, or, where a stage learns from pairs, how hard it still finds it to tell the preferred answer from the other. The curve grows while a run is in progress.",
    none: "No run is here yet. Start one with “glaswerk run”: its curve appears here by itself.",
    not_yet: "The run {run} has not trained a step yet: first its texts are read, a tokenizer is learned and the machine is measured.",
    loss: "loss", rate: "of the peak learning rate", speed: "tokens/s", step: "step", stage: "stage",
    sample: "What it writes by then",
    samples: "All {count} samples, from the first on", stages: "The finished stages", parameters: "parameters", tokens: "tokens read", seconds: "seconds",
    tokens_per_second: "tokens/s", val_loss: "held-out loss", val_bits_per_byte: "bits per byte",
    rounds: "Rounds of learning from rewards, as they are written: the mean reward of the sampled replies, and how far the model is from the one it began as.",
    round: "round", reward: "reward", kl: "KL, nats per reply",
  },
  de: {
    title: "Wie der Lauf {run} lernt",
    look: "Der Verlust (Loss) jedes protokollierten Schritts, so wie ihn das Training schreibt: wie sehr das nächste Token das Modell noch überrascht oder, wo eine Stufe aus Paaren lernt, wie schwer es ihm noch fällt, die bevorzugte Antwort von der anderen zu unterscheiden. Die Kurve wächst, solange ein Lauf im Gang ist.",
    none: "Noch ist kein Lauf da. Starte einen mit „glaswerk run“: Seine Kurve erscheint hier von selbst.",
    not_yet: "Der Lauf {run} hat noch keinen Schritt trainiert: Erst werden seine Texte gelesen, ein Tokenizer wird gelernt und der Rechner vermessen.",
    loss: "Verlust", rate: "der höchsten Lernrate", speed: "Tokens/s", step: "Schritt", stage: "Stufe",
    sample: "Was es bis dahin schreibt",
    samples: "Alle {count} Proben, von der ersten an", stages: "Die fertigen Stufen", parameters: "Parameter", tokens: "gelesene Tokens", seconds: "Sekunden",
    tokens_per_second: "Tokens/s", val_loss: "Verlust auf zurückgehaltenem Text", val_bits_per_byte: "Bit pro Byte",
    rounds: "Runden des Lernens aus Belohnungen, so wie sie geschrieben werden: die mittlere Belohnung der gezogenen Antworten und wie weit das Modell von dem entfernt ist, als das es begann.",
    round: "Runde", reward: "Belohnung", kl: "KL, Nats pro Antwort",
  },
};
