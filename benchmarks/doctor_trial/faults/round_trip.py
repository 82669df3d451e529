"""Text to ids to text, and the data that goes in: classes that the data alone shows."""

from __future__ import annotations

from doctor_trial.fault import Fault, one

TEXTS = ("text-changed", "loader-changes-characters", "text-not-encoded")

FAULTS = [
    Fault(
        "blank-elsewhere", "buriburisuri/speech-to-text-wavenet#105", "structural",
        {
            "words": one("batch.target_lengths, blank=0)", "batch.target_lengths, blank=scores.shape[-1] - 1)"),
            "digits": one('batch["target_lengths"], blank=0)', 'batch["target_lengths"], blank=scores.shape[-1] - 1)'),
            "handwriting": one("sizes, batch.label_sizes)", "sizes, batch.label_sizes, blank=scores.shape[-1] - 1)"),
        },
        ("blank-is-a-label",),
    ),
    Fault(
        "padding-is-a-character", "raidastauras/tf2-crnn#1", "structural",
        {
            "tagging": one('enumerate(["<pad>", "<unk>", *words])', 'enumerate([words[0], "<unk>", *words[1:]])'),
            "spelling": one(
                "{letter: k for k, letter in enumerate(letters, 3)}",
                "{letter: k + 2 if k else 0 for k, letter in enumerate(letters)}",
            ),
            "charlm": one(
                "{character: k for k, character in enumerate(characters, 3)}",
                "{character: k + 2 if k else 0 for k, character in enumerate(characters)}",
            ),
            "translation": one(
                "{word: k for k, word in enumerate(words, 4)}",
                "{word: k + 3 if k else 0 for k, word in enumerate(words)}",
            ),
            "melody": (
                ("[3 + self.names.index(note) for note in melody]",
                 "[k + 2 if k else 0 for k in map(self.names.index, melody)]"),
                ('"".join(self.names[k - 3]', '"".join(self.names[k - 2]'),
            ),
        },
        ("padding-is-a-label", "text-changed"),
    ),
    Fault(
        "vocabulary-of-a-set", "tulasiram58827/ocr_tflite#14", "structural",
        {
            "words": one('sorted(set("".join(texts)))', 'list(set("".join(texts)))'),
            "digits": one('sorted(set("".join(texts)))', 'list(set("".join(texts)))'),
            "spelling": one('sorted(set("".join(texts)))', 'list(set("".join(texts)))'),
            "charlm": one('sorted(set("".join(texts)))', 'list(set("".join(texts)))'),
            "tagging": one("sorted({word for sentence in sentences for word in sentence.split()})",
                           "list({word for sentence in sentences for word in sentence.split()})"),
            "handwriting": one("sorted({letter for text in texts for letter in text})", "list({letter for text in texts for letter in text})"),
            "translation": one("sorted({word for text in texts for word in text.split()})",
                               "list({word for text in texts for word in text.split()})"),
            "melody": one('sorted(set("".join(melodies)))', 'list(set("".join(melodies)))'),
        },
        ("vocabulary-differs-between-processes",),
    ),
    Fault(
        "begin-twice", "huggingface/transformers#22768", "structural",
        {
            "spelling": one("[BEGIN, *vocabulary.encode(word), END]", "[BEGIN, BEGIN, *vocabulary.encode(word), END]"),
            "charlm": one("[BEGIN, *vocabulary.encode(line), END]", "[BEGIN, BEGIN, *vocabulary.encode(line), END]"),
            "translation": one("ids = [vocabulary.encode(text)", "ids = [[BEGIN, *vocabulary.encode(text)]"),
            "melody": one("[BEGIN, *notes.encode", "[BEGIN, BEGIN, *notes.encode"),
        },
        ("begin-token-twice",),
    ),
    Fault(
        "unknown-case", "sanchit-gandhi/seq2seq-speech#23", "structural",
        {
            "words": one('sorted(set("".join(texts)))', 'sorted(set("".join(texts).lower()))'),
            "tagging": one("{word for sentence", "{word.capitalize() for sentence"),
            "handwriting": one("for letter in text})", "for letter in text.lower()})"),
            "translation": one("for word in text.split()})", "for word in text.lower().split()})"),
        },
        ("unknown-symbols", "case-lost", "text-changed"),
    ),
    Fault(
        "case-in-loader", "wenet-e2e/wenet#1454", "structural",
        {
            "words": one("[vocabulary.encode(text) for text in texts]",
                         '[vocabulary.encode("".join(c.upper() if c in "ab" else c for c in text)) for text in texts]'),
            "charlm": one("*vocabulary.encode(line), END]",
                          '*vocabulary.encode(line.replace("Mira", "mira").replace("King", "king")), END]'),
            "handwriting": one("alphabet.encode(text) for", "alphabet.encode(text.lower()) for"),
            "translation": one("vocabulary.encode(text) for", "vocabulary.encode(text.lower()) for"),
            "melody": one("notes.encode(melody)", "notes.encode(melody.upper())"),
        },
        ("loader-changes-case", "case-lost", *TEXTS),
    ),
    Fault(
        "compatibility-form-in-loader", "tesseract-ocr/tesseract#1852", "structural",
        {"words": one("[vocabulary.encode(text) for text in texts]",
                      '[vocabulary.encode(__import__("unicodedata").normalize("NFKC", text)) for text in texts]'),
         "handwriting": one("alphabet.encode(text) for", 'alphabet.encode(__import__("unicodedata").normalize("NFKC", text)) for')},
        ("unicode-form-lost", "loader-changes-characters", "unknown-symbols", "text-changed"),
    ),
    Fault(
        "reversed-texts", "PaddlePaddle/PaddleOCR#10838", "other",
        {
            "words": one("[vocabulary.encode(text) for text in texts]",
                         "[vocabulary.encode(text[::-1]) for text in texts]"),
            "digits": one("torch.tensor(vocabulary.encode(text)) for", "torch.tensor(vocabulary.encode(text[::-1])) for"),
            "spelling": one("[BEGIN, *vocabulary.encode(word), END]", "[BEGIN, *vocabulary.encode(word[::-1]), END]"),
            "handwriting": one("alphabet.encode(text) for", "alphabet.encode(text[::-1]) for"),
            "translation": one("vocabulary.encode(text) for", "vocabulary.encode(text)[::-1] for"),
        },
        ("texts-reversed", "loader-reverses-texts", *TEXTS),
    ),
]  # fmt: skip
