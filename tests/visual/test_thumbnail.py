import numpy as np
import pytest

from avsf_det.structures import Persons
from avsf_det.visual.thumbnail import SIZE, Thumbnails, crop_square


def picture(colour):
    return np.full((240, 426, 3), colour, dtype=np.uint8)


def test_the_largest_sure_view_of_each_id_is_kept():
    thumbnails = Thumbnails()
    small, large = (0.1, 0.1, 0.2, 0.3), (0.1, 0.1, 0.5, 0.9)
    thumbnails.add(picture(10), Persons([small, small, small], [0.9, 0.9, 0.9], [1, 2, -1]))
    thumbnails.add(picture(200), Persons([large, large], [0.9, 0.1], [1, 2]))
    assert {person_id: image[0, 0, 0] for person_id, image in thumbnails.images.items()} == {1: 200, 2: 10}


@pytest.mark.parametrize("box", [(0, 0, 426, 240), (400, 0, 426, 240), (0, 200, 300, 240), (50, 50, 50, 50)])
def test_a_crop_never_shows_what_lies_beyond_the_picture(box):
    crop = crop_square(picture(77), np.array(box))
    assert crop.shape == (SIZE, SIZE, 3)
    assert (crop == 77).all()


def test_a_crop_shows_the_upper_part_of_the_person():
    image = picture(0)
    image[40:90, 100:140] = 255
    assert crop_square(image, np.array((100, 40, 140, 240)))[: SIZE // 2].mean() > 150
