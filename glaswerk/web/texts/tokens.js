/** @type {import("../figure.js").Texts} */
export default {
  en: {
    title: "Your text, as the model gets it",
    look: "Each box is one token with its number. Spaces are shown as a dot, bytes that are no character of their own in hex. Type something else and it is cut anew.",
    text: "Text",
    counts: "{characters} characters, {bytes} bytes, {tokens} tokens of {vocabulary}",
    bytes_of: "Token {id} stands for the bytes {bytes}",
  },
  de: {
    title: "Dein Text, wie ihn das Modell bekommt",
    look: "Jedes Kästchen ist ein Token mit seiner Nummer. Leerzeichen erscheinen als Punkt, Bytes, die für sich kein Zeichen sind, hexadezimal. Tippe etwas anderes, und es wird neu zerlegt.",
    text: "Text",
    counts: "{characters} Zeichen, {bytes} Bytes, {tokens} Tokens von {vocabulary}",
    bytes_of: "Token {id} steht für die Bytes {bytes}",
  },
};
