import pyarrow as pa

from filters.signals.picture_size import measure_picture_size


def test_measures_the_original_and_leaves_a_missing_picture_null():
    pairs = pa.table(
        {
            "original_width": pa.array([300, 200, None], pa.int32()),
            "original_height": pa.array([200, 400, None], pa.int32()),
        }
    )
    measured = [column.to_pylist() for column in measure_picture_size(pairs)]
    assert measured == [[300, 200, None], [200, 400, None], [1.5, 0.5, None], [200, 200, None]]
