"""`labels`: a table or lines of names and texts, as EasyOCR, PaddleOCR and ICDAR have them.

* labels.csv: filename,words (EasyOCR)
* rec_gt_train.txt and rec_gt_test.txt: a name, a tab, a text (PaddleOCR)
* gt.txt: word_1.png, "a text" (ICDAR)

Sources: https://github.com/JaidedAI/EasyOCR/blob/master/trainer/README.md,
https://github.com/PaddlePaddle/PaddleOCR (docs, data sets for recognition), https://rrc.cvc.uab.es/?ch=4&com=tasks
"""

from __future__ import annotations

from seqloss.data.folder import SPLITS, Folder
from seqloss.data.layouts.layout import Layout
from seqloss.data.layouts.table import read_tables


def find_labels(folder: Folder) -> list[str]:
    splits = "|".join(SPLITS)
    return folder.find_text_files(rf"(rec_)?(labels?|gt)([_-]({splits}))?\.(csv|tsv|txt)")


LAYOUT = Layout("labels", "labels.csv, labels.txt or gt.txt", find_labels, read_tables)
