"""How much of a caption is a link, an e-mail address or a telephone number."""

import pyarrow as pa
import pyarrow.compute as pc

from filters.contact_patterns import EMAIL, EMAIL_HINT, TELEPHONE, TELEPHONE_AFTER_WORD, URL
from filters.signals.coverage import MAX_CHARS, covered_ratio
from filters.signals.signal import Signal


def measure_contacts(captions: pa.StringArray) -> tuple[pa.FloatArray, ...]:
    """Shares of the caption's letters and digits, 0 to 1."""
    start = pc.utf8_slice_codeunits(captions, 0, MAX_CHARS)
    telephone = f"{TELEPHONE_AFTER_WORD}|{TELEPHONE}"
    return (
        covered_ratio(start, URL),
        covered_ratio(start, EMAIL, EMAIL_HINT),
        covered_ratio(start, telephone),
    )


CONTACTS = Signal(
    columns=(
        ("url_ratio", pa.float32()),
        ("email_ratio", pa.float32()),
        ("telephone_ratio", pa.float32()),
    ),
    needs="caption",
    measure=measure_contacts,
)
