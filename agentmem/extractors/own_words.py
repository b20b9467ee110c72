"""Whether a turn is plainly the user's own words to the assistant, all of it: nothing pasted, forwarded or reported.

A wish that is taken for the user's is followed for good, so a turn must show that it is. One paragraph, short, without
the marks of mails, pages and transcripts, and without a word for what others write or say. It is not asked who may have
written a turn but what it looks like: most turns of most users fail, and only their wishes are not read.
"""

from __future__ import annotations

import re
from typing import Final

from agentmem.extractors.gates import HIDDEN, lowered

_LONGEST: Final = 320


def may_be_passed_on(text: str, *, besides: str = "") -> bool:
    """True if a turn, or some words in it, may be another's: by its marks, and by words for what others write or say.

    Args:
        besides: Words of the turn that are the wish itself, which may name what it likes.
    """
    if may_have_marks(text):
        return True
    low = lowered(text)
    return tells_of_others(low.replace(lowered(besides), " ", 1) if besides else low)


def may_have_marks(text: str) -> bool:
    """True if a text looks like more than a few plain sentences."""
    said = text.strip()
    return len(said) > _LONGEST or HIDDEN in said or _MARKS.search(said) is not None or _QUOTED.search(said) is not None


def tells_of_others(low: str) -> bool:
    """True if words, in lower case, tell of something written or said, or of its coming in."""
    return _OTHERS.search(low) is not None


_MARKS: Final = re.compile(
    r"[\n\r\t\v\f\u0085\u2028\u2029<>|{}\[\]=@•#^~\\]|https?:|\bwww\.|\w\.(?:com|org|net|io|example|test)\b"
    r"|:(?![\d)D(P])|--"
    r"| [-–—*] |^[-–—*+]|``|\.\.\.\s*\S|(?:^|\s)/"
)
_QUOTED: Final = re.compile(
    r"[\"“”«»„‟❝❞]|(?<!\w)['‘’](?!\w+(?: \w+){0,2}['’](?!\w))(?=[^'’]{1,200}['’](?!\w))|[‹›「」『』]"
)
"""Quotation marks; of single ones, those that hold more than three words."""
_OTHERS: Final = re.compile(
    r"\b(?:wrote|writes|writing|written|says|said|saying|tells|told|telling|texted|texts?|texting|posted|posts?"
    r"|tweet\w*"
    r"|e-?mail\w*|mails?|mailed|inbox|spam|letters?|notes?|memos?|messages?|messaged|dms?|sms|voice ?mails?|pages?"
    r"|sites?"
    r"|web\w*|articles?|blogs?|reddit|forums?|threads?|chats?|comments?|commented|newsletters?|readme\w*|docs?"
    r"|documents?|files?"
    r"|pdfs?|attachments?|attached|screenshots?|ocr|logs?|errors?|terminal|prints?|printed|output|terms|clauses?"
    r"|contracts?"
    r"|polic\w+|manuals?|guides?|instructions?|handbooks?|signs?|posters?|pamphlets?|leaflets?|flyers?|labels?"
    r"|adverts?|ads?"
    r"|books?|novels?|quot\w+|lyrics?|songs?|poems?|stor(?:y|ies)|scripts?|movies?|films?|shows?|episodes?|plays?"
    r"|speech\w*"
    r"|forward\w*|fwd|fw|subject|dear|regards|sincerely|signature|signed|invitations?|cards?|cookies?|horoscopes?"
    r"|mottos?|slogans?|templates?|samples?|drafts?|prompts?|transcripts?|minutes|reviews?|surveys?|forms?|tickets?"
    r"|paragraphs?|passages?|excerpts?|snippets?|sentences?|lines?|phrases?|words?|titles?|headlines?|captions?"
    r"|copied|copy"
    r"|pasted|paste|received|receives?|got|gotten|gets|found|saw|seen|read|reads|reading|heard|overheard|opened|noticed"
    r"|discovered|came (?:across|in|with)|comes? with|stumbled|watched|downloaded|scanned|translat\w+|proofread"
    r"|summari[sz]\w+"
    r"|rephras\w+|rewrit\w+|announc\w+|according|reported\w*|stat(?:es|ed)|claim\w*|insist\w*|demand\w*|asked|asks"
    r"|replied"
    r"|answered|goes|went like|was like|be like|called out|yelled|shouted|whisper\w*|joked|sings?|singing"
    r"|role-?play\w*|pretend\w*|imagine\w*|dream\w*|hypothet\w+|suppose\w*|example|fictional|customers?|clients?"
    r"|vendors?"
    r"|suppliers?|spammers?|scammers?|strangers?|homework|essay\w*|exercise \d|recipe card|dictated|dictation"
    r"|rumou?rs?)\b"
)
