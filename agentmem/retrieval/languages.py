"""The language of a text and the stems of its words: by its letters, and in Latin ones by its smallest words.

Words in other letters have one stem wherever they stand. A word in Latin letters has one in each language; which one a
memory is kept by, its text decides, and a question asks for those of all languages that the memories are in.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Collection
from functools import lru_cache
from typing import Any, Final

ENGLISH: Final = "english"
"""What a text in Latin letters is taken for that says nothing else."""
FUNCTION_WORDS: Final = {
    "german": (
        "der die das den dem des ein eine einen einem einer eines und oder aber doch nicht kein keine keinen ich du "
        "er sie wir ihr mich dich sich uns euch mir dir ihm ihn ihnen mein meine meinen meinem meiner meines dein "
        "deine deinen deiner sein seine seinen seiner ihre ihren ihrem ihrer unser unsere unseren unserem ist bin "
        "bist sind seid war waren hat habe haben hast hatte hatten wird werde werden wurde wurden kann kannst mit von "
        "vom zu zum zur bei beim nach aus auf für über unter vor seit wegen gegen ohne um an am im in ins bis durch "
        "als wenn weil dass daß ob wie was wer wem wen wo wann warum wieso wohin woher welche welcher welches welchen "
        "welchem noch auch nur schon sehr so es man da dort hier dann denn mal jede jeden jedes"
    ),
    "french": (
        "le la les l un une des du de d et ou mais ne n pas je j tu il elle on nous vous ils elles me m te t se s lui "
        "leur leurs mon ma mes ton ta tes son sa ses notre nos votre vos ce cet cette ces c ça qui que qu quoi dont "
        "où quand comment pourquoi combien quel quelle quels quelles est suis es sont sommes êtes était étaient étais "
        "ai as a avons avez ont avait avais avaient été à au aux en dans par pour sur sous avec sans chez vers depuis "
        "très plus y si aussi donc car comme"
    ),
    "spanish": (
        "el la los las un una unos unas lo al del de y e o u pero no ni yo tú él ella nosotros ellos ellas me te se "
        "le les nos os mi mis tu tus su sus nuestro nuestra nuestros nuestras este esta estos estas ese esa eso que "
        "qué quién quiénes cuál cuáles cuándo cuánto cuánta cuántos cuántas cómo dónde adónde porque cuando como "
        "donde es soy eres son somos era eran fue fueron está estoy están estaba ha he has han hemos había hay a en "
        "con por para sin sobre desde hasta ya muy más también"
    ),
    "italian": (
        "il lo la i gli le l un uno una del dello della dei degli delle dell al allo alla ai agli alle all dal dallo "
        "dalla dai dagli dalle nel nello nella nei negli nelle sul sullo sulla sui sulle e ed o ma non io tu lui lei "
        "noi voi loro mi ti si ci vi me te ne mio mia miei mie tuo tua tuoi tue suo sua suoi sue nostro nostra nostri "
        "nostre questo questa questi queste quello quella quelli quelle che chi cosa quale quali quando quanto quanta "
        "quanti quante come dove perché cui sono sei è siamo siete era ero erano ho hai ha abbiamo avete hanno aveva "
        "avevo di a da in con su per tra fra fino già più molto anche se"
    ),
    "portuguese": (
        "o a os as um uma uns umas do da dos das no na nos nas ao à aos às pelo pela pelos pelas num numa e ou mas "
        "não eu tu ele ela nós vós eles elas você vocês me te se lhe lhes meu minha meus minhas teu tua teus tuas seu "
        "sua seus suas nosso nossa nossos nossas este esta estes estas esse essa isso isto aquele aquela que quem "
        "qual quais quando quanto quanta quantos quantas como onde porque porquê é sou és são somos era eram foi "
        "foram está estou estão estava tenho tem têm tinha há de em com por para sem sobre desde até já mais muito "
        "também"
    ),
    "dutch": (
        "de het een en of maar niet geen ik jij je u hij zij ze wij we jullie mij me jou hem haar ons hun hen mijn "
        "jouw zijn uw onze dit dat deze die wie wat welk welke wanneer waar waarom waarvoor waarheen hoe hoeveel is "
        "ben bent was waren heb hebt heeft hebben had hadden word wordt worden werd kan kunnen van voor met op aan in "
        "uit bij naar om over onder tot door tegen zonder sinds te er daar hier dan als omdat zodat ook nog al zeer"
    ),
}
"""Articles, pronouns, prepositions, question words: no text is without them, and no memory is looked for by them."""

GLUING: Final = frozenset({"german", "dutch"})
"""Languages that write words that belong together as one."""


def language_of(words: Collection[str]) -> str:
    """The language of words in lower case: the one most of whose small words are among them, if some are no English."""
    signs = _signs()
    if signs.keys().isdisjoint(words):
        return ENGLISH
    found = {language for word in signs.keys() & words for language in signs[word]}
    counts = {language: len(function_words(language).intersection(words)) for language in FUNCTION_WORDS}
    best = max((language for language in FUNCTION_WORDS if language in found), key=counts.__getitem__)
    english = len(function_words(ENGLISH).intersection(words) - function_words(best))
    return best if counts[best] > english else ENGLISH


@lru_cache(None)
def function_words(language: str) -> frozenset[str]:
    """The small words of English or a language of ``FUNCTION_WORDS``, with and without their accents."""
    words = (_ENGLISH if language == ENGLISH else FUNCTION_WORDS[language]).split()
    return frozenset(words + [without_accents(word) for word in words])


def stem(word: str, language: str) -> str:
    """What the forms of a word have in common, without accents; ``language`` decides for Latin letters.

    Args:
        word: Lower case, NFKC.
    """
    if word.isascii():
        return _latin_stem(word, language)
    bare = without_accents(word)
    if bare.isascii():
        return _latin_stem(word if language != ENGLISH else bare, language)
    if _ARABIC.match(word):
        return _arabic_stem(word)
    script = next((name for first, last, name in _SCRIPTS if first <= word[0] <= last), None)
    return bare if script is None else without_accents(_snowball(script).stemWord(word))


def parts(stem: str) -> list[tuple[str, str]]:
    """The two words that a stem of a language of ``GLUING`` may be put together from: "zahnarzt" and "termin"."""
    if len(stem) > _MAX_COMPOUND:
        return []
    return [(stem[:cut], stem[cut:]) for cut in range(_MIN_PART, len(stem) - _MIN_PART + 1)]


def without_accents(text: str) -> str:
    """The text as NFC without the accents of Latin, Greek and Cyrillic letters."""
    return unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", text)))


def _latin_stem(word: str, language: str) -> str:
    found: str = _snowball(language).stemWord(word)
    if language == "german" and (participle := _PARTICIPLE.fullmatch(found)):
        found = (participle[1] or "") + participle[2]
    return found if found.isascii() else without_accents(found)


def _arabic_stem(word: str) -> str:
    """The word without the article, what is written on to its front, and its endings: light stemming."""
    plain = word.translate(_ARABIC_LETTERS)
    if len(plain) > 3 and plain[0] == "و":
        plain = plain[1:]
    if (article := _ARABIC_ARTICLE.match(plain)) and len(plain) - article.end() > 1:
        plain = plain[article.end() :]
    while (ending := _ARABIC_ENDING.search(plain)) and ending.start() > 1:
        plain = plain[: ending.start()]
    return plain[1:] if len(plain) > 4 and plain[0] in _ARABIC_PREPOSITIONS else plain


def _snowball(language: str) -> Any:
    # A Stemmer keeps state between its calls: two threads in one give wrong stems.
    stemmers: dict[str, Any] = _local.__dict__
    if language not in stemmers:
        import Stemmer

        stemmers[language] = Stemmer.Stemmer(language, 0)
    return stemmers[language]


@lru_cache(1)
def _signs() -> dict[str, list[str]]:
    """The languages of each small word that is no English word."""
    signs: dict[str, list[str]] = {}
    for language in FUNCTION_WORDS:
        for word in function_words(language) - function_words(ENGLISH) - frozenset(_ENGLISH_TOO.split()):
            signs.setdefault(word, []).append(language)
    return signs


_ENGLISH: Final = (
    "a about above after again all am an and any are aren't as at be because been before being below between both "
    "but by can can't cannot could couldn't did didn't do does doesn't doing don't down during each few for from "
    "further had hadn't has hasn't have haven't having he her here hers herself him himself his how i if in into is "
    "isn't it its itself just let's me more most mustn't my myself no nor not of off on once only or other ought our "
    "ours ourselves out over own same shan't she should shouldn't so some such than that the their theirs them "
    "themselves then there these they this those through to too under until up very was wasn't we were weren't what "
    "when where which while who whom why will with won't would wouldn't you your yours yourself yourselves "
    "also s t don didn doesn"
)
_ENGLISH_TOO: Final = (
    "die war hat man bin mit dem den dan ben un la le de el les des pour plus sin son ton ma car come per com met word "
    "num em ya na vi ci ai c d e i j l m n o u y"
)
"""Small words of other languages that English texts have too: names, endings, words that mean something else."""
_ACCENTS: Final = re.compile("[\u0300-\u036f]")
_ARABIC: Final = re.compile("[\u0620-\u064a\u0660-\u06d3]")
_ARABIC_LETTERS: Final = str.maketrans("أإآٱىةکیئؤ", "اااايهكيءء")
_ARABIC_ARTICLE: Final = re.compile("(?:[وفبك]?ال|لل)")
_ARABIC_ENDING: Final = re.compile("(?:ها|ان|ات|ون|ين|يه|ه|ي|ت)$")
_ARABIC_PREPOSITIONS: Final = frozenset("بلك")
_PARTICIPLE: Final = re.compile(
    "(ab|an|auf|aus|ein|mit|nach|vor|zu|weg|los|zuruck|um|her|hin)?ge([a-zäöü]{3,}?)t?", re.IGNORECASE
)
_SCRIPTS: Final = (
    ("\u0370", "\u03ff", "greek"),
    ("\u1f00", "\u1fff", "greek"),
    ("\u0400", "\u052f", "russian"),
    ("\u0900", "\u097f", "hindi"),
    ("\u0530", "\u058f", "armenian"),
    ("\u0b80", "\u0bff", "tamil"),
)
_MIN_PART: Final = 4
_MAX_COMPOUND: Final = 32
_local = threading.local()
