"""Words to terms, bags, and BM25 over them."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem.interfaces import LexicalChange, LexicalQuery
from agentmem.retrieval.languages import language_of
from agentmem.retrieval.lexical import (
    MARK_OF_LANGUAGE,
    MARKS,
    OF_USER,
    QUESTION,
    TIMED,
    InvertedIndex,
    Postings,
    asked_words,
    decode_bag,
    encode_bag,
    idf,
    kept_terms,
    memory_terms,
    query_terms,
    saturated,
    split_sentences,
)

NOON = datetime(2023, 5, 7, 12, tzinfo=UTC)
bags = st.dictionaries(st.integers(0, 2**32 - 1), st.integers(1, 65_535), max_size=30)
small_bags = st.dictionaries(st.integers(0, 6), st.integers(1, 4), max_size=5)


def bag_of(content: str, *, speaker: str | None = None) -> dict[int, int]:
    return decode_bag(memory_terms(content, speaker=speaker, occurred_at=NOON)[0])


def same(one: str, other: str) -> bool:
    return query_terms(one) == query_terms(other) != []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Painting", "painted"),
        ("Caroline's", "caroline"),
        ("Caroline’s", "caroline"),
        ("1,000 dogs", "1000 dog"),
        ("café Zürich", "CAFE zurich"),
        ("ｆｕｌｌ　ｗｉｄｔｈ", "full width"),
        ("zero\u200bwidth", "zerowidth"),
        ("\u202emirror\u202c", "mirror"),
        ("Straße", "strasse"),
        ("ёлка", "елка"),
        ("snake_case", "snake case"),
        ("well-known", "well known"),
    ],
)
def test_spellings_of_one_word_are_one_term(one: str, other: str) -> None:
    assert same(one, other)


@pytest.mark.parametrize(("one", "other"), [("3.5", "35"), ("2023", "2024"), ("dog", "cat"), ("दिन", "दान")])
def test_different_words_stay_different(one: str, other: str) -> None:
    assert query_terms(one) != query_terms(other)


def test_stopwords_and_contractions_are_no_terms() -> None:
    assert query_terms("When did they, and why don't we'll it?") == []


def test_a_letter_that_is_a_word_is_kept_where_a_contraction_is_not() -> None:
    assert query_terms("vitamin D") == [*query_terms("vitamin"), *query_terms("d")]
    assert query_terms("he'd painted") == query_terms("painted")


GERMAN = ("german",)


def finds(memory: str, query: str, *languages: str) -> bool:
    """Whether the memory is kept by every word that the question asks for, in one of its forms."""
    bag = bag_of(memory).keys()
    forms = asked_words(query, languages).forms
    return bool(forms) and all(not bag.isdisjoint((term, *others)) for term, others in forms.items())


@pytest.mark.parametrize(
    ("memory", "query"),
    [
        ("Wir haben die Häuser in Köln verkauft.", "Welches Haus ist es?"),
        ("Ich habe gestern zwei Fahrräder gekauft.", "Warum kaufst du das Fahrrad?"),
        ("Nos chevaux étaient fatigués.", "Où est le cheval fatigué ?"),
        ("J'ai réservé l'hôtel.", "Quelle est la réservation des hôtels ?"),
        ("Las canciones de mi hermana", "¿Cuál es la canción?"),
        ("Cambiaremos los cajones", "quien cambiara el cajon"),
        ("Die Miete ist 1.250 Euro und nicht mehr", "Ist das die Miete von 1250 Euro?"),
        ("وجدت مدرسة قرب الإسكندرية", "المدرسة والاسكندريه"),
        ("أَكَلْتُ التُّفّاحَ", "تفاح"),
        ("الطابق ٥", "طابق 5"),
        ("купил красивую ёлку", "красивая елка"),
        ("किताबें", "किताब"),
        ("Happy birthday 🎂!", "🎂"),
    ],
)
def test_other_forms_of_a_word_are_found_in_its_language(memory: str, query: str) -> None:
    assert finds(memory, query)


def test_a_word_alone_is_asked_for_in_every_language_of_the_memories() -> None:
    memory = "Unser Haus ist auf dem Berg."
    assert not finds(memory, "Häuser")
    assert finds(memory, "Häuser", "german")
    assert finds("I fed the cats.", "cat", "german")


def test_a_question_in_english_finds_a_foreign_word() -> None:
    assert finds("Das Fahrrad steht bei den Fahrrädern.", "Fahrrad", "german", "french")


def test_the_small_words_of_its_language_are_no_terms() -> None:
    assert query_terms("Wo ist denn mein und dein?") == query_terms("Où est-ce que tu étais ?") == []
    assert MARK_OF_LANGUAGE["german"] in bag_of("Wo ist denn mein Hut?")


def test_german_words_put_together_are_found_by_their_parts() -> None:
    def shares(memory: str, query: str) -> bool:
        return any(not bag_of(memory).keys().isdisjoint(parts) for parts in asked_words(query, GERMAN).parts)

    appointment = "Der Zahnarzttermin ist verschoben."
    assert shares(appointment, "Wann muss ich zum Zahnarzt?")
    assert shares(appointment, "Termine")
    assert shares("Ich spiele Klavier mit ihr.", "Wie ist der Klavierunterricht?")
    assert not shares(appointment, "Wo ist der Kirschbaum?")
    assert memory_terms(appointment, speaker=None, occurred_at=NOON)[1] == len(kept_terms(appointment)) + 4


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("", "english"),
        ("Did he die in the war?", "english"),
        ("I met a man from Los Angeles, la la la, at MIT", "english"),
        ("Der Hund ist mit mir in den Garten gegangen", "german"),
        ("wo ist mein Hut", "german"),
        ("J'ai mangé une pomme hier", "french"),
        ("¿Dónde está la llave?", "spanish"),
        ("donde esta mi llave", "spanish"),
        ("昨日 東京 に行きました", "english"),
    ],
)
def test_small_words_tell_the_language(text: str, language: str) -> None:
    assert language_of(text.casefold().replace("?", "").replace("¿", "").replace("'", " ").split()) == language


@pytest.mark.parametrize("end", ["?", "？", "؟", "? \n"])
def test_every_question_mark_ends_a_question(end: str) -> None:
    assert QUESTION in bag_of(f"نعم{end}")


@pytest.mark.parametrize(
    ("memory", "query"),
    [
        ("昨日、東京タワーに行きました。", "東京タワー"),
        ("白い猫です", "猫"),
        ("ฉันชอบกินข้าวผัด", "ข้าวผัด"),
        ("저는 서울에서 살아요", "서울"),
        ("मैं हिन्दी बोलता हूँ", "हिन्दी"),
        ("أحب القهوة", "القهوة"),
    ],
)
def test_every_script_is_searchable(memory: str, query: str) -> None:
    assert set(query_terms(query)) <= bag_of(memory).keys()


def test_the_key_holds_speaker_and_day() -> None:
    assert set(query_terms("Caroline, Sunday 7 May 2023")) <= bag_of("Hello", speaker="Caroline").keys()


def test_the_day_is_that_of_utc() -> None:
    late = datetime(2023, 5, 7, 23, tzinfo=timezone(timedelta(hours=-5)))
    bag = decode_bag(memory_terms("Hello", speaker=None, occurred_at=late)[0])
    assert set(query_terms("monday 8 may")) <= bag.keys()


def test_the_day_is_kept_in_the_words_of_its_language_and_in_english() -> None:
    for memory, asked in (
        ("Wir haben einen Kuchen gebacken", "am Sonntag, 7. Mai 2023"),
        ("Nous avons fait un gâteau", "Qu’avons-nous fait ce dimanche 7 mai 2023 ?"),
        ("Hicimos una tarta para la abuela", "¿Qué hicimos el domingo, 7 de mayo de 2023?"),
    ):
        for question in (asked, "Sunday 7 May 2023"):
            bag = bag_of(memory).keys()
            forms = asked_words(question, tuple(MARK_OF_LANGUAGE)).forms
            assert all(not bag.isdisjoint((term, *others)) for term, others in forms.items())


def test_days_in_digits_ask_for_the_words_of_the_key() -> None:
    assert set(query_terms("7 may 2023")) <= set(query_terms("on 2023-05-07"))


def test_a_number_that_is_no_day_is_a_number() -> None:
    assert query_terms("2023-13-40")


def test_marks_tell_questions_and_times_and_are_not_tokens() -> None:
    plain, length = memory_terms("I paint", speaker=None, occurred_at=NOON)
    asked, same_length = memory_terms("I paint?", speaker=None, occurred_at=NOON)
    assert length == same_length
    assert decode_bag(asked).keys() - decode_bag(plain).keys() == {QUESTION}
    assert TIMED in bag_of("I painted last week")
    assert TIMED not in bag_of("I painted")
    assert TIMED in bag_of("Wir haben im Dezember gestrichen")
    assert TIMED not in bag_of("Wir haben die Wand gestrichen")


def test_words_beside_a_text_find_it_and_make_it_no_longer() -> None:
    plain, length = memory_terms("Clara lives in Porto.", speaker=None, occurred_at=NOON)
    found, same_length = memory_terms("Clara lives in Porto.", speaker=None, occurred_at=NOON, beside="city city")
    assert same_length == length
    assert Counter(decode_bag(found)) - Counter(decode_bag(plain)) == Counter(dict.fromkeys(query_terms("city"), 2))


def test_a_fact_about_the_user_is_marked() -> None:
    marked, _ = memory_terms("The user paints", speaker=None, occurred_at=NOON, of_user=True)
    assert OF_USER in decode_bag(marked)
    assert OF_USER not in bag_of("The user paints")


@given(bags)
def test_a_bag_survives_encoding(bag: dict[int, int]) -> None:
    assert decode_bag(encode_bag(bag)) == bag


def test_a_count_beyond_the_format_stops_there() -> None:
    assert decode_bag(encode_bag({7: 70_000})) == {7: 65_535}


@given(st.text(max_size=200))
@settings(max_examples=200)
def test_any_text_gives_a_bag_of_its_length(text: str) -> None:
    data, length = memory_terms(text, speaker=None, occurred_at=NOON)
    counted = sum(count for term, count in decode_bag(data).items() if term not in MARKS)
    # Of other languages than English the bag holds more than the text: the day in English, parts of long words.
    assert counted == length or (counted > length and not decode_bag(data).keys().isdisjoint(MARK_OF_LANGUAGE.values()))


def test_terms_are_the_same_in_another_process() -> None:
    script = "from agentmem.retrieval.lexical import query_terms; print(query_terms('Painting in Zürich 東京'))"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == str(query_terms("Painting in Zürich 東京"))


def test_threads_stem_alike() -> None:
    words = [f"running{n} painting{n} studies{n}" for n in range(500)]
    with ThreadPoolExecutor(8) as pool:
        threaded = list(pool.map(query_terms, words))
    assert threaded == [query_terms(text) for text in words]


def test_sentences_are_spans_of_the_text() -> None:
    text = 'I came. "Why?" she asked!\n\nNo end  \n東京です。次です'
    assert [text[start:end] for start, end in split_sentences(text)] == [
        "I came.",
        '"Why?"',
        "she asked!",
        "No end",
        "東京です。",
        "次です",
    ]


@pytest.mark.parametrize(
    "sentence",
    [
        "It's on Thursday at 10 with Dr. Moura.",
        "Mr. and Mrs. Keller live in St. Ives.",
        "We meet at 6 a.m. sharp, e.g. at the gate, i.e. No. 12.",
        "J. R. R. Tolkien and John F. Kennedy never met.",
    ],
)
def test_an_abbreviation_ends_no_sentence(sentence: str) -> None:
    text = f"{sentence} The rest."
    assert [text[start:end] for start, end in split_sentences(text)] == [sentence, "The rest."]


def test_a_stop_that_could_be_of_an_abbreviation_ends_a_sentence_where_another_begins() -> None:
    text = "We left at 6 p.m. The train was late. I take vitamin D. I said no. Then we ate."
    assert len(split_sentences(text)) == 5


@given(st.text(max_size=200))
def test_sentences_leave_out_only_space(text: str) -> None:
    spans = split_sentences(text)
    assert "".join(text.split()) == "".join("".join(text[start:end].split()) for start, end in spans)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


def slow_bm25(memories: dict[int, dict[int, int]], terms: list[int]) -> dict[int, float]:
    """BM25 as the textbook writes it."""
    lengths = {row: sum(bag.values()) for row, bag in memories.items()}
    mean = sum(lengths.values()) / max(len(memories), 1)
    scores: dict[int, float] = {}
    for row, bag in memories.items():
        for term in terms:
            if term in bag:
                holding = sum(term in other for other in memories.values())
                weight = saturated(np.float32([bag[term]]), np.float32([lengths[row]]), mean)[0]
                scores[row] = scores.get(row, 0.0) + idf(holding, len(memories)) * float(weight)
    return scores


@given(st.lists(small_bags, max_size=12), st.sets(st.integers(0, 11)), st.lists(small_bags, max_size=4))
def test_the_index_scores_as_the_textbook_does_after_additions_and_deletions(
    first: list[dict[int, int]], gone: set[int], second: list[dict[int, int]]
) -> None:
    index = InvertedIndex()
    index.apply(LexicalChange(1, {row: encode_bag(bag) for row, bag in enumerate(first)}))
    index.apply(LexicalChange(1, {100 + row: encode_bag(bag) for row, bag in enumerate(second)}, gone=list(gone)))
    index.apply(LexicalChange(2, {1: encode_bag({1: 1})}))
    memories = {row: bag for row, bag in enumerate(first) if row not in gone}
    memories |= {100 + row: bag for row, bag in enumerate(second)}
    expected = slow_bm25(memories, [1, 2, 3])
    hits = index.search(LexicalQuery([1], [1, 2, 3], limit=100))
    assert {row: pytest.approx(expected[row], rel=1e-4) for _, row in hits.rows} == dict(
        zip((row for _, row in hits.rows), hits.scores.tolist(), strict=True)
    )
    assert {row for _, row in hits.rows} == expected.keys()
    assert hits.scores.tolist() == sorted(hits.scores.tolist(), reverse=True)


def test_a_long_tail_is_sorted_in_without_changing_what_is_found() -> None:
    postings = Postings()
    for start in range(0, 3_000, 100):
        postings.append([encode_bag({n % 7: 1, 1_000 + n: 2}) for n in range(start, start + 100)], [3] * 100)
        postings.find([0])  # settles
    postings.append([encode_bag(dict.fromkeys(range(10000, 40000), 1))], [30_000])
    slots, counts = postings.find([1_234])[0]
    assert slots.tolist() == [234]
    assert counts.tolist() == [2.0]
    assert postings.find([3])[0][0].tolist() == [n for n in range(3_000) if n % 7 == 3]


def test_a_term_is_found_in_all_its_forms_and_each_slot_once() -> None:
    postings = Postings()
    postings.append([encode_bag({1: 2}), encode_bag({2: 1, 1: 1}), encode_bag({3: 1})], [2, 2, 1])
    (slots, counts), (other, _) = postings.find([1, 3], {1: (2, 9)})
    assert dict(zip(slots.tolist(), counts.tolist(), strict=True)) == {0: 2.0, 1: 2.0}
    assert other.tolist() == [2]


def test_removed_slots_are_found_no_more_and_counted_no_more() -> None:
    postings = Postings()
    postings.append([encode_bag({5: 1})] * 2_000, [1] * 2_000)
    postings.find([5])
    postings.remove([0, 0, 1])
    assert (postings.count, postings.tokens) == (1_998, 1_998.0)
    assert postings.find([5])[0][0].tolist() == list(range(2, 2_000))
    postings.remove(range(2, 1_000))  # many dead: the entries themselves go
    before = postings.nbytes
    assert postings.find([5])[0][0].tolist() == list(range(1_000, 2_000))
    assert postings.nbytes < before
