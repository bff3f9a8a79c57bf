import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.signals.boilerplate import measure_boilerplate
from filters.signals.coverage import MAX_CHARS


def ratio_of(caption):
    (ratios,) = measure_boilerplate(pa.array([caption], pa.string()))
    return ratios[0].as_py()


@pytest.mark.parametrize(
    "date",
    [
        "2004-08-25",
        "2004/8/25",
        "2004.08.25",
        "2004:08:25 23:31:12",
        "2004-08-25T23:31:12Z",
        "2004-08-25 23:31:12.123456 +02:00",
        "25/08/2004",
        "8-25-04",
        "25.08.'04",
        "25.8.2004 23.31",
        "20040825",
        "20040825_233112",
        "25 August 2004",
        "25th of August, 2004",
        "the 25th August",
        "25-AUG-04",
        "25aug2004",
        "August 25, 2004",
        "Aug. 25th",
        "Sept 3 2004 at 11:31 p.m.",
        "Wed, 25 Aug 2004 23:31:12 GMT",
        "(Wed Aug 25 23:31:12 2004)",
        "Wed Aug 25 23:31:12 UTC 2004",
        "Wednesday, August 25th, 2004, 11:31 PM",
        "August 2004",
        "August of 2004",
        "Aug '04",
        "25. Juni 2004",
        "25. Dezember 2004",
        "1er mai 2004",
        "25 août 2004",
        "25 de agosto de 2004",
        "25 marzo 2004",
        "25 maart 2004",
        "2004年8月25日",
        "2004년 8월 25일",
        "08/2004",
    ],
)
@pytest.mark.parametrize("frame", ["{}", "photographed on {}", "Photo taken on {}.", "Date: {}"])
def test_covers_a_date_and_the_words_that_frame_it(date, frame):
    assert ratio_of(frame.format(date)) == 1.0


@pytest.mark.parametrize(
    "caption",
    [
        "photographed in 1999",
        "photographed circa 1999",
        "Photo by Ann Lee",
        "Photograph courtesy of Ann B. Lee on Flickr",
        "Clipart by Jürgen de la Cruz",
        "Image credit: Ann Lee",
        "Icon collection by Ann Lee, 2004"[5:],
        "Copyright © 2004-2007 Ann Lee",
        "(c) Ann Lee",
        "All rights reserved.",
        "Part of the Flat Icon Collection",
        "part of my summer holiday album",
        "Click to enlarge picture",
        "Click on the image for a larger view",
        "embedded image permalink",
        "Royalty-free stock photo",
        "Load image into Gallery viewer",
        "Tap to expand",
        "View full-size image",
        "opens in a new window",
        "No image available",
        "Image coming soon",
        "Share on Facebook",
        "Untitled",
        "image for",
        "Picture 12",
        "IMG_2034.JPG",
        "P1010023.JPG",
        "100_1234.jpg",
        "20160716_113957.JPG",
        "IMG-20190101-WA0001",
        "PXL_20210101_123456789.jpg",
        "Screen Shot 2014-01-01 at 10.00.00 AM",
        "550e8400-e29b-41d4-a716-446655440000",
        "d41d8cd98f00b204e9800998ecf8427e.png",
        "1234567890",
        "DSC00123",
        "f/2.8, 1/250 sec, ISO 400",
    ],
)
def test_covers_the_whole_phrase(caption):
    assert ratio_of(caption) == 1.0


@pytest.mark.parametrize(
    "caption",
    [
        "A stamp collection",
        "photo by the sea",
        "Portrait of a lady by Leonardo da Vinci",
        "Copyright Symbol",
        "1989 Chevrolet Celebrity Sedan",
        "The march of the penguins in May",
        "Sun and moon over a decorated wall",
        "A picture of 4 apples",
        "Part of the bridge",
        "tree - RPG map elements",
        "12 monkeys",
        "The Mars 2020 rover",
        "Mai Thai with a slice of lime",
        "A picture of a no parking sign",
        "An image of the old town",
        "A photo album with a red cover",
        "Zoom lens",
        "The stock exchange",
        "A road sign with 1234567 on it",
    ],
)
def test_covers_nothing_of_a_description(caption):
    assert ratio_of(caption) == 0.0


@pytest.mark.parametrize(
    ("caption", "ratio"),
    [
        ("abcd 2004", 0.0),
        ("abcdefgh 2004-08-25", 0.5),
        ("abcdefg 2004-08-25", 8 / 15),
        ("abcdefg, -- (2004-08-25)!", 8 / 15),
        ("жжжжжжжж 2004-08-25", 0.5),
    ],
)
def test_counts_letters_and_digits_alone(caption, ratio):
    assert ratio_of(caption) == pytest.approx(ratio)


@pytest.mark.parametrize("caption", ["", "  ", "!?", "\N{GRINNING FACE}", "\0"])
def test_is_zero_without_letters_or_digits(caption):
    assert ratio_of(caption) == 0.0


def test_looks_at_the_beginning_of_a_long_caption():
    assert ratio_of("x" * MAX_CHARS + " 2004-08-25" * 1000) == 0.0


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.text()))
def test_is_a_share_whatever_the_captions(captions):
    (ratios,) = measure_boilerplate(pa.array(captions, pa.string()))
    assert len(ratios) == len(captions)
    assert all(0 <= ratio <= 1 for ratio in ratios.to_pylist())


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "piece",
    [
        "photo was ",
        "no image ",
        "image#",
        "f",
        "25 de ",
        ".jpg",
        "part of the ",
        "Photo by A ",
        "mon ",
        "1/",
        "12:",
        "2004-",
        "\n\0",
        "a",
    ],
)
def test_takes_bounded_time_over_hostile_captions(piece):
    captions = pa.array([piece * (1_000_000 // len(piece))] * 3)
    (ratios,) = measure_boilerplate(captions)
    assert len(ratios) == 3
