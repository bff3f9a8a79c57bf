"""How much of a caption is a date, a credit or a phrase that says nothing of the picture.

The patterns are Google's RE2 as Arrow runs it: time is linear in the caption's length
whatever the caption holds, which Python's `re` does not promise. RE2 ignores case where
`(?i:...)` says so, and its \\b knows ASCII letters only, which the English words here are.
"""

import pyarrow as pa

from filters.signals.coverage import covered_ratio, spaced
from filters.signals.signal import Signal

YEAR = r"(?:1[89]\d\d|20\d\d)"
DAY = r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?"
MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
FOREIGN_MONTH = (
    r"(?:januar|februar|märz|mai|juni|juli|oktober|dezember"  # German; with Nordic ones
    r"|janvier|février|mars|avril|juin|juillet|août|septembre|octobre|novembre|décembre"
    r"|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre"
    r"|gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|dicembre"
    r"|janeiro|fevereiro|março|maio|junho|julho|setembro|outubro|novembro|dezembro"
    r"|januari|februari|maart|mei|augustus|augusti|maj|marts|desember)"
)
"""Months as European languages write them where English does not."""
WEEKDAY = (
    r"(?:mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:rs?(?:day)?)?|fri(?:day)?"
    r"|sat(?:urday)?|sun(?:day)?)\.?"
)
ZONE = r"(?:z|utc|gmt|c?est|[ecmp][sd]t|[+-]\d\d:?\d\d)"
TIME = (
    r"(?:[01]?\d|2[0-3])[:.h][0-5]\d(?:[:.][0-5]\d(?:\.\d{1,6})?)?"
    rf"(?:\s?[ap]\.?m\.?)?(?:\s?{ZONE}\b)?"
)
GAP = r"[\s,./-]{1,3}"

DATES = (
    # 2004-08-25, 2004/08/25, 2004.08.25T23:31:12Z
    rf"\b{YEAR}[-/.:]\d\d?[-/.:]\d\d?(?:(?:{GAP}|t){TIME})?",
    # 25/08/2004, 8-25-04, 25.08.'04 23:31
    rf"\b\d\d?[-/.]\d\d?[-/.](?:{YEAR}|'?\d\d)\b(?:{GAP}{TIME})?",
    # 20040825, 20040825_233112 (the underscore is a space by then)
    rf"\b{YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[\s-]?\d{{6}})?\b",
    # 25-AUG-04, 25aug2004
    rf"\b{DAY}-?{MONTH}-?(?:{YEAR}|\d\d)\b",
    # Wed, 25 Aug 2004 23:31:12 GMT; 25th of August, 2004; the 25th August
    rf"\b(?:{WEEKDAY}{GAP})?(?:the\s)?{DAY}(?:{GAP}|\sof\s){MONTH}\b"
    rf"(?:{GAP}(?:{YEAR}|'\d\d)\b)?(?:{GAP}(?:at\s)?{TIME})?",
    # Wed Aug 25 23:31:12 UTC 2004; August 25th, 2004; Aug 25
    rf"\b(?:{WEEKDAY}{GAP})?{MONTH}{GAP}(?:the\s)?{DAY}\b(?:{GAP}(?:at\s)?{TIME})?"
    rf"(?:{GAP}{YEAR}\b)?(?:{GAP}(?:at\s)?{TIME})?",
    # August 2004, Aug '04
    rf"\b{MONTH}(?:{GAP}|\sof\s)(?:{YEAR}|'\d\d)\b",
    # 25. Juni 2004, 25 de agosto de 2004, 1er mai 2004; never a bare month: Mars 2020 is a rover
    rf"\b(?:{DAY}|1er)\.?\s(?:de\s)?{FOREIGN_MONTH}\.?,?\s(?:del?\s)?{YEAR}\b",
    # 2004年8月25日, 2004년 8월 25일
    r"\b\d{4}\s?[年년]\s?\d\d?\s?[月월](?:\s?\d\d?\s?[日일])?",
    # 08/2004
    rf"\b(?:0?[1-9]|1[0-2])/{YEAR}\b",
)
"""Dates "in various formats" (Ramesh et al. 2021, section 2.3)."""

MADE = (
    r"(?:photo(?:graph)?(?:ed|s)?|pictures?|images?|pics?|shot|taken|captured|snapped|scanned"
    r"|drawn|created|made|uploaded|posted|published|submitted|added|updated|modified|recorded"
    r"|date|dated)"
)
MADE_ON = rf"(?:{MADE}(?:\s(?:was|were|is))?[\s:,(-]{{1,3}}){{1,3}}(?:(?:on|in|at|around)\s\(?)?"
DATE = "(?:" + "|".join(DATES) + ")"
DATED = (
    # photographed on <date>: the paper's own example
    rf"(?:\b{MADE_ON})?{DATE}",
    rf"\b{MADE_ON}(?:(?:circa|ca?\.?|about)\s)?{YEAR}\b",
)

NAME_WORD = r"[A-ZÀ-ÖØ-Þ\x{100}-\x{17f}][^\s,;:()|/]*"
"""A Latin capital and what follows; with all of \\p{Lu} the pattern compiles ten times longer."""
NAME = rf"{NAME_WORD}(?:\s(?:(?i:de|da|di|du|la|le|van|von|der|del)\s){{0,2}}{NAME_WORD}){{0,4}}"
MADE_BY = (
    r"(?i:photo(?:graph)?(?:ed|s|y)?|pictures?|images?|clip\s?art|illustrations?|vectors?"
    r"|graphics?|artwork|collection|series|album|gallery|uploaded|posted|submitted|created|made"
    r"|designed)"
)
CREDITS = (
    # Photo by Ann Lee on Flickr; Clipart by Ann Lee; Icon collection by Ann Lee, 2004
    rf"\b{MADE_BY}\s(?i:by|courtesy\sof|credit:?)\s{NAME}(?:,?\s{YEAR}\b)?"
    r"(?:\s(?i:on|via)\s(?i:flickr|unsplash|pexels|pixabay|shutterstock|getty\simages))?",
    # Copyright 2004 Ann Lee; (c) Ann Lee
    rf"(?i:©|\(c\)|\bcopyright\b)[\s©]{{0,3}}(?i:\(c\)\s)?{YEAR}(?:\s?[-\x{{2013}}]\s?{YEAR})?"
    rf"(?:,?\s(?:by\s)?{NAME})?",
    rf"(?i:©|\(c\))\s?{NAME}",
    r"(?i:\ball\srights\sreserved\b)",
)

PHRASES = (
    # Sharma et al. 2018 (Conceptual Captions), section 3: cropped or dropped there
    r"\bclick\s(?:here\s|(?:on\s)?(?:the\s)?(?:photo|image|picture)\s)?(?:to|for)\s(?:an?\s)?"
    r"(?:enlarge|view|zoom|see|larger)(?:\s(?:the\s|this\s)?(?:picture|image|photo|view|version))?",
    r"\bembedded\simage\spermalink\b",
    r"\bprofile\s(?:photo|picture)\b",
    r"\b(?:royalty[\s-]free\s)?stock\s(?:photo(?:graph)?s?|photography|images?|pictures?|vectors?"
    r"|illustrations?|footage)\b",
    r"\broyalty[\s-]free\b",
    # what a page's buttons and gaps say; the first is an example of COYO-700M's
    r"\bload\simage\sinto\sgallery\sviewer\b",
    r"\b(?:tap|hover)\sto\s(?:enlarge|expand|zoom|view)\b",
    r"\b(?:view|see|show)\s(?:full[\s-]size|larger|original)(?:\s(?:image|picture|photo|version))?\b",
    r"\b(?:enlarge|zoom)\s(?:this\s|the\s)?(?:image|picture|photo)\b",
    r"\b(?:opens?|open)\sin\s(?:a\s)?new\s(?:window|tab)\b",
    r"\b(?:no\s(?:image|picture|photo|caption|description)(?:\s(?:available|found|yet))?"
    r"|(?:image|picture|photo)\s(?:not\s(?:found|available)|unavailable|coming\ssoon))\b",
    r"\b(?:continue\sreading|read\smore|add\sto\scart|free\sshipping|pin\sit"
    r"|share\son\s(?:facebook|twitter|pinterest))\b",
    # a whole caption that could stand under any picture: COYO-700M's "image for", "picture of"
    r"^\W*(?:the\s|my\s)?(?:image|photo(?:graph)?|picture|pic|thumbnail|placeholder|untitled"
    r"|unnamed|default)(?:\s(?:for|of|no\.?|number))?[\s#:-]*\d*\W*$",
    # whose series a picture belongs to is nothing that one can see
    r"\bpart\sof\s(?:the|an?|my|our|his|her|their)(?:\s\S+){0,5}?"
    r"\s(?:collection|series|album|gallery|archives?)\b",
)

CAMERA = (
    # Radford et al. 2021 (CLIP), section 2.2: automatic file names and camera settings
    # P1010023.JPG, 100_1234.jpg, IMG-20190101-WA0001, PXL_20210101_123456789
    r"\bp\d{7}\b",
    r"\b\d{3}\s\d{4}\.(?:jpe?g|tiff?|png)\b",
    r"\b(?:img|vid|mvimg|pxl|wp|pano|burst)[\s-](?:19|20)\d{6}(?:[\s-](?:wa)?\d{2,9})?\b",
    rf"\bscreen\s?shot\s(?:from\s)?{YEAR}-\d\d-\d\d(?:\sat)?(?:\s\d\d[.:-]\d\d[.:-]\d\d)?"
    r"(?:\s[ap]m)?\b",
    r"\b(?:img|dsc[fn]?|pict|cimg|hpim|sany|imag|gopr|dji|mvc|screenshot)[\s-]?\d{2,8}[a-z]?"
    r"(?:\.[a-z]{3,4})?\b",
    # what only a machine names: hashes, UUIDs, long numbers; and what a name ends in
    r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
    r"\b[0-9a-f]{32,64}\b",
    r"\b\d{8,}\b",
    r"\.(?:jpe?g|png|gif|tiff?|bmp|webp|svg|heic|cr2|nef|psd)\b",
    r"\bf/\d{1,2}(?:\.\d)?\b",
    r"\b1/\d{1,5}\s?s(?:ec(?:onds?)?)?\b",
    r"\biso[\s-]?\d{2,6}\b",
)

PATTERN = "|".join((f"(?i:{'|'.join((*DATED, *PHRASES, *CAMERA))})", *CREDITS))


def measure_boilerplate(captions: pa.StringArray) -> tuple[pa.FloatArray]:
    """The share of a caption's letters and digits that boilerplate covers, 0 to 1."""
    return (covered_ratio(spaced(captions), PATTERN),)


BOILERPLATE = Signal(
    columns=(("boilerplate_ratio", pa.float32()),),
    needs="caption",
    measure=measure_boilerplate,
)
