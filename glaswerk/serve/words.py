"""The words of the pages' frame, in both languages. What figures say stands in ``glaswerk/web/texts``."""

from __future__ import annotations

WORDS: dict[str, dict[str, str]] = {
    "home_title": {"en": "A language model you can see through", "de": "Ein Sprachmodell zum Hindurchsehen"},
    "life_title": {"en": "The life of a prompt", "de": "Das Leben eines Prompts"},
    "chapters_title": {"en": "Chapters", "de": "Kapitel"},
    "models_title": {"en": "The open model", "de": "Das offene Modell"},
    "glossary_title": {"en": "Glossary", "de": "Glossar"},
    "missing_title": {"en": "There is no such page", "de": "Diese Seite gibt es nicht"},
    "missing_text": {
        "en": "Nothing lies at this address. The list of chapters says what has been written so far.",
        "de": "Unter dieser Adresse liegt nichts. Die Liste der Kapitel sagt, was schon geschrieben ist.",
    },
    "skip": {"en": "Skip to the text", "de": "Zum Text springen"},
    "main_navigation": {"en": "Main navigation", "de": "Hauptnavigation"},
    "nav_life": {"en": "Life of a prompt", "de": "Leben eines Prompts"},
    "nav_chapters": {"en": "Chapters", "de": "Kapitel"},
    "nav_review": {"en": "Review", "de": "Wiederholen"},
    "nav_models": {"en": "Model", "de": "Modell"},
    "nav_glossary": {"en": "Glossary", "de": "Glossar"},
    "theme": {"en": "Colours: automatic", "de": "Farben: automatisch"},
    "other_language": {"en": "Deutsch", "de": "English"},
    "no_script": {
        "en": "The figures need JavaScript. The text can be read without.",
        "de": "Die Abbildungen brauchen JavaScript. Der Text lässt sich ohne lesen.",
    },
    "no_vendor": {
        "en": "The figures' libraries are missing: run “make setup”, then reload this page.",
        "de": "Die Bibliotheken der Abbildungen fehlen: „make setup“ ausführen, dann diese Seite neu laden.",
    },
    "home_lead": {
        "en": "Type a sentence and follow it through a model that runs on this machine: bytes, tokens, vectors, every head "
        "of every layer, up to the word that is drawn. Every number you see was computed just now.",
        "de": "Tippe einen Satz und folge ihm durch ein Modell, das auf diesem Rechner läuft: Bytes, Tokens, Vektoren, jeder "
        "Kopf jeder Schicht, bis zum Wort, das gezogen wird. Jede Zahl, die du siehst, wurde eben erst berechnet.",
    },
    "home_start": {"en": "Follow a prompt", "de": "Einem Prompt folgen"},
    "home_continue": {"en": "Continue where you were", "de": "Dort weiterlesen, wo du warst"},
    "home_due": {"en": "Due for review today", "de": "Heute zu wiederholen"},
    "home_model": {"en": "The open model", "de": "Das offene Modell"},
    "home_training": {"en": "Training", "de": "Training"},
    "home_chapters": {"en": "Chapters", "de": "Kapitel"},
    "to_come": {"en": "to come", "de": "folgt"},
    "minutes": {"en": "minutes", "de": "Minuten"},
    "chapter": {"en": "Chapter", "de": "Kapitel"},
    "contents": {"en": "On this page", "de": "Auf dieser Seite"},
    "quiz": {"en": "Quiz", "de": "Quiz"},
    "quiz_right": {"en": "Right.", "de": "Richtig."},
    "quiz_wrong": {"en": "Not quite.", "de": "Nicht ganz."},
    "exercises": {"en": "Exercises", "de": "Übungen"},
    "kind_open": {"en": "To answer in your own words", "de": "Mit eigenen Worten"},
    "kind_code": {"en": "To program", "de": "Zum Programmieren"},
    "kind_discuss": {"en": "To discuss", "de": "Zum Diskutieren"},
    "show_answer": {"en": "Show a model answer", "de": "Eine Musterantwort zeigen"},
    "your_answer": {"en": "Your answer (stays in this browser)", "de": "Deine Antwort (bleibt in diesem Browser)"},
    "grade": {"en": "How good was yours?", "de": "Wie gut war deine?"},
    "grade_0": {"en": "missed it", "de": "daneben"},
    "grade_1": {"en": "half of it", "de": "halb"},
    "grade_2": {"en": "got it", "de": "getroffen"},
    "check_with": {"en": "Save it as a file and check it:", "de": "Speichere es als Datei und prüfe es:"},
    "before": {"en": "Before", "de": "Davor"},
    "after": {"en": "Next", "de": "Weiter"},
    "glossary_lead": {
        "en": "The words of the field. German keeps the English word where people who do this work keep it.",
        "de": "Die Wörter des Fachs. Wo die Leute, die damit arbeiten, das englische Wort behalten, steht es auch hier.",
    },
    "see_also": {"en": "see also", "de": "siehe auch"},
    "explained_in": {"en": "explained in", "de": "erklärt in"},
    "review_title": {"en": "Review", "de": "Wiederholen"},
    "review_lead": {
        "en": "A question that you answered once fades. Here it comes back shortly before you would forget it, and each time "
        "you still know it, it stays away longer.",
        "de": "Eine Frage, die du einmal beantwortet hast, verblasst. Hier kommt sie wieder, kurz bevor du sie vergessen "
        "würdest, und jedes Mal, wenn du sie noch weißt, bleibt sie länger weg.",
    },
    "review_how": {
        "en": "The day is chosen by FSRS, a model of how people forget: a card returns when the chance that you still know it "
        "has fallen to {share}. Your first answer to a quiz question in a chapter counts too. A question counts once a day; "
        "what you got wrong comes again at the end, for practice. The answers lie in a file on this computer.",
        "de": "Den Tag wählt FSRS, ein Modell dafür, wie Menschen vergessen: Eine Karte kommt wieder, wenn die Chance, dass du "
        "sie noch weißt, auf {share} gefallen ist. Auch deine erste Antwort auf eine Quizfrage im Kapitel zählt. Jede Frage zählt "
        "einmal am Tag; was falsch war, kommt am Schluss noch einmal, zur Übung. Die Antworten liegen in einer Datei auf diesem "
        "Computer.",
    },
    "review_terminal": {"en": "The same in the terminal:", "de": "Dasselbe im Terminal:"},
    "models_weights": {"en": "Its weights", "de": "Seine Gewichte"},
    "models_lead": {
        "en": "What is loaded: its shape, where its parameters lie, and how it was trained.",
        "de": "Was geladen ist: wie es gebaut ist, wo seine Parameter liegen und wie es trainiert wurde.",
    },
    "life_lead": {
        "en": "You type a few words. What happens until the next one is there? Every station of the way stands below, in order, "
        "with the numbers that the open model computed for your text, down to a single multiplication.",
        "de": "Du tippst ein paar Wörter. Was geschieht, bis das nächste dasteht? Unten steht jede Station des Wegs, der Reihe "
        "nach, mit den Zahlen, die das offene Modell für deinen Text berechnet hat, bis hinab zur einzelnen Multiplikation.",
    },
    "life_compare": {"en": "Where do two models part?", "de": "Wo gehen zwei Modelle auseinander?"},
    "life_compare_text": {
        "en": "The same prompt through two models, or through two stages of one run: a base model and the assistant that was made "
        "from it.",
        "de": "Derselbe Prompt durch zwei Modelle oder durch zwei Stufen eines Laufs: ein Basismodell und der Assistent, der "
        "daraus wurde.",
    },
}
