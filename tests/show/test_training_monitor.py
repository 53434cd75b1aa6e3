"""The curve of the training monitor: a mean of the last steps, which does not jump where an epoch ends."""

import io

import numpy as np
import pytest
from PIL import Image

from jointnet.show.widgets import TrainingMonitor, training


def test_the_curve_is_the_mean_of_the_last_steps_across_epochs(monkeypatch):
    """Steps of loss 1, 3, 5 in two epochs of two: Keras tells the means so far, 1 and 2, then 5 anew."""
    monkeypatch.setattr(training, "PAUSE", -1)
    monkeypatch.setattr(training, "MOVING", 2)
    monitor = TrainingMonitor()
    watch = monitor.callback(None)
    watch.set_params({"steps": 2, "epochs": 2})
    watch.on_train_begin()
    for epoch, told in enumerate([(1.0, 2.0), (5.0,)]):
        watch.on_epoch_begin(epoch)
        for batch, loss in enumerate(told):
            watch.on_train_batch_end(batch, {"loss": loss})
    assert [loss for _, loss in monitor.curve] == pytest.approx([1, 2, 4])  # 1; (1 + 3) / 2; (3 + 5) / 2


def test_labels_that_do_not_count_are_grey_beneath_the_image():
    images = np.zeros((1, 8, 8, 3), np.uint8)
    labels = np.ones((1, 8, 8, 1))
    weights = np.ones((1, 8, 8, 1))
    weights[:, :, 4:] = 0
    sheet = np.asarray(Image.open(io.BytesIO(training.patch_sheet(images, labels, labels, weights))))
    labelled = sheet[12 + 2 : 12 + 10, 2:10, 0]  # the second row of patches of 8 px, each with a rim of 2
    assert (labelled[:, :4] == 255).all()
    assert (labelled[:, 4:] == 127).all()  # half of 255
