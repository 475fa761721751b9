// A question that the model in the page does not answer, with the reason in both languages, as glaswerk/errors.py has it.

export class Refused extends Error {
  /** @param {string} text @param {string} german */
  constructor(text, german) {
    super(text);
    this.german = german;
  }
}
