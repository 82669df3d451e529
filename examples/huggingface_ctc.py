"""Train a small Wav2Vec2ForCTC on spoken digits, with the Trainer of Hugging Face transformers and the loss of seqloss.

    python examples/huggingface_ctc.py --data free-spoken-digit-dataset --out digits

The data is the Free Spoken Digit Dataset (https://github.com/Jakobovski/free-spoken-digit-dataset), whose files are
named recordings/DIGIT_SPEAKER_TAKE.wav. The model is tested on takes 0 to 4 and on a speaker whom it has never heard.
"""

import argparse
import json
import random
import wave
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import interpolate
from torch.nn.utils.rnn import pad_sequence
from transformers import Trainer, TrainingArguments, Wav2Vec2Config, Wav2Vec2CTCTokenizer, Wav2Vec2ForCTC, set_seed

from seqloss.torch.huggingface import CTCTrainerLoss

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
Row = dict[str, torch.Tensor]


def make_tokenizer(folder: Path) -> Wav2Vec2CTCTokenizer:
    """One token for each character of the words; the padding token is CTC's blank."""
    tokens = ["<pad>", "<unk>", "|", *sorted(set("".join(WORDS)))]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    return Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), bos_token=None, eos_token=None)


def make_model(tokenizer: Wav2Vec2CTCTokenizer) -> Wav2Vec2ForCTC:
    """320,000 weights, a frame for every 20 ms at 8 kHz."""
    config = Wav2Vec2Config(
        vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, ctc_zero_infinity=True,
        conv_dim=(64, 96, 96, 96), conv_kernel=(16, 8, 4, 4), conv_stride=(5, 4, 4, 2), num_feat_extract_layers=4,
        feat_extract_norm="layer", hidden_size=96, num_hidden_layers=2, num_attention_heads=4, intermediate_size=192,
        do_stable_layer_norm=True, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4, mask_time_prob=0.0,
        layerdrop=0.0, attention_dropout=0.0, activation_dropout=0.0, feat_proj_dropout=0.0, final_dropout=0.0,
    )  # fmt: skip
    return Wav2Vec2ForCTC(config)


def read_samples(path: Path) -> torch.Tensor:
    """The samples of a 16-bit WAV file, with mean 0 and variance 1."""
    with wave.open(str(path)) as file:
        samples = torch.from_numpy(np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32))
    return (samples - samples.mean()) / (samples.std() + 1e-5)


def read_rows(folder: Path, speaker: str, tokenizer: Wav2Vec2CTCTokenizer) -> tuple[list[Row], list[Row], list[Row]]:
    """The rows to train on, the unseen takes of the same speakers, and those of the speaker who is held out."""
    train, takes, held_out = [], [], []
    for path in sorted((folder / "recordings").glob("*.wav")):
        digit, name, take = path.stem.split("_")
        row = {"input_values": read_samples(path), "labels": torch.tensor(tokenizer(WORDS[int(digit)]).input_ids)}
        (held_out if name == speaker else takes if int(take) < 5 else train).append(row)
    return train, takes, held_out


def collate(rows: list[Row]) -> Row:
    """Play recordings at random speeds; pad with 0, the labels with -100; the mask says which samples are in use."""
    inputs = [row["input_values"][None, None] for row in rows]
    samples = [interpolate(x, scale_factor=random.uniform(0.8, 1.25), mode="linear")[0, 0] for x in inputs]
    return {
        "input_values": pad_sequence(samples, batch_first=True),
        "attention_mask": pad_sequence([torch.ones(len(x), dtype=torch.long) for x in samples], batch_first=True),
        "labels": pad_sequence([row["labels"] for row in rows], batch_first=True, padding_value=-100),
    }


def edit_distance(first: str, second: str) -> int:
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        above, row[0] = row[0], i
        for j, b in enumerate(second, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (a != b))
    return row[-1]


@torch.no_grad()
def print_errors(model: Wav2Vec2ForCTC, tokenizer: Wav2Vec2CTCTokenizer, rows: list[Row], name: str) -> None:
    """Print the share of wrong words, and the characters to change over the characters of the texts."""
    model.eval()
    best = [model(row["input_values"][None].to(model.device)).logits[0].argmax(-1) for row in rows]
    texts = [tokenizer.decode(row["labels"], group_tokens=False) for row in rows]
    pairs = list(zip(map(tokenizer.decode, best), texts, strict=True))
    words = sum(found != text for found, text in pairs) / len(pairs)
    characters = sum(edit_distance(*pair) for pair in pairs) / len("".join(texts))
    print(f"{name}, {len(rows)} recordings: word error {words:.1%}, character error {characters:.1%}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder that has recordings/")
    parser.add_argument("--out", type=Path, default=Path("digits"), help="folder for the vocabulary and the model")
    parser.add_argument("--speaker", default="nicolas", help="the speaker who is held out")
    parser.add_argument("--steps", type=int, default=1500, help="number of optimiser steps")
    options = parser.parse_args()
    set_seed(0)
    tokenizer = make_tokenizer(options.out)
    model = make_model(tokenizer)
    train, takes, held_out = read_rows(options.data, options.speaker, tokenizer)
    arguments = TrainingArguments(
        output_dir=str(options.out), max_steps=options.steps, per_device_train_batch_size=8,
        gradient_accumulation_steps=2, learning_rate=1e-3, warmup_steps=100, lr_scheduler_type="cosine",
        logging_steps=200, save_strategy="no", remove_unused_columns=False, disable_tqdm=True, seed=0,
    )  # fmt: skip
    trainer = Trainer(model, arguments, collate, train, compute_loss_func=CTCTrainerLoss(model, tokenizer))
    for when in ("before", "after"):
        if when == "after":
            trainer.train()
        print_errors(model, tokenizer, takes, f"{when} training, unseen takes")
        print_errors(model, tokenizer, held_out, f"{when} training, speaker {options.speaker}")
    trainer.save_model()


if __name__ == "__main__":
    main()
