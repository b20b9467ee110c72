"""Dates in words name the right time, and words that only look like dates name none."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem.retrieval.dates import TimeSpan, time_spans

WEDNESDAY = datetime(2023, 5, 10, 15, 30, tzinfo=UTC)

NAMED = """
My flight is on 2023-05-07. | 2023-05-07 = 2023-05-07 day
The log says 2023-05-07T17:30:00Z. | 2023-05-07T17:30:00Z = 2023-05-07T17:30 minute
It broke at 2023-05-07 17:30, sadly. | 2023-05-07 17:30 = 2023-05-07T17:30 minute
Signed 2021/12/31 in Lisbon. | 2021/12/31 = 2021-12-31 day
We met on 7 May 2023. | 7 May 2023 = 2023-05-07 day
We met on the 7th of May, 2023. | 7th of May, 2023 = 2023-05-07 day
We met May 7th 2023 in Porto. | May 7th 2023 = 2023-05-07 day
We met on Sunday, May 7, 2023. | Sunday, May 7, 2023 = 2023-05-07 day
On 3 Mar. 2019 he left. | 3 Mar. 2019 = 2019-03-03 day
On Dec 24, 2020 it snowed. | Dec 24, 2020 = 2020-12-24 day
The fair ran from 15-17 June 2022. | 15-17 June 2022 = 2022-06-15..2022-06-18 day
I was in Rome June 15th to 25th, 2022. | June 15th to 25th, 2022 = 2022-06-15..2022-06-26 day
Due 25/12/2023. | 25/12/2023 = 2023-12-25 day
Due 12/25/2023. | 12/25/2023 = 2023-12-25 day
Filed on 5.5.2021 already. | 5.5.2021 = 2021-05-05 day
I was born on 29 February 2000. | 29 February 2000 = 2000-02-29 day
Magna Carta was sealed on 15 June 1215. | 15 June 1215 = 1215-06-15 day
I bought it on March 12th. | March 12th = 2023-03-12 day
I bought it on June 19th. | June 19th = 2022-06-19 day
We'll fly on June 19th. | June 19th = 2023-06-19 day
Is there a train on May 20? | May 20 = 2023-05-20 day
I went there on May 7. | May 7 = 2023-05-07 day
We saw it on Sunday, March 12th. | Sunday, March 12th = 2023-03-12 day
The talk on May 7 last year was dull. | May 7 last year = 2022-05-07 day
I moved in March 2021. | March 2021 = 2021-03 month
i moved in march 2021 | march 2021 = 2021-03 month
She left in early September of 2020. | early September of 2020 = 2020-09 month
He worked there Aug 2010 - Mar 2011. | Aug 2010 = 2010-08 month ; Mar 2011 = 2011-03 month
The contract ends in December, 2029. | December, 2029 = 2029-12 month
I went to Japan in March. | March = 2023-03 month
I went to Japan in June. | June = 2022-06 month
We will marry in September. | September = 2023-09 month
We're moving in March. | March = 2024-03 month
I started the job back in January. | January = 2023-01 month
I did it in March of last year. | March of last year = 2022-03 month
I've lived alone since last March. | last March = 2023-03 month
Last August I ran a marathon. | Last August = 2022-08 month
I'm starting next January. | next January = 2024-01 month
The wedding is next September. | next September = 2023-09..2024-10 year
In 2019 I broke my arm. | 2019 = 2019 year
I have lived here since 2019. | 2019 = 2019 year
In 2018, on June 5, we left. | 2018 = 2018 year
He quit in late 2021. | late 2021 = 2021 year
2020 was a hard year for us. | 2020 = 2020 year
We went in every May. 2020 was a hard year. | 2020 = 2020 year
2019 | 2019 = 2019 year
We met at the end of 2018. | 2018 = 2018 year
The house was built in 1887. | 1887 = 1887 year
It happened in the year 1066. | 1066 = 1066 year
We met in the summer of 2019. | summer of 2019 = 2019-06..2019-09 season
Fall 2021 was wet. | Fall 2021 = 2021-09..2021-12 season
We met in winter 2020. | winter 2020 = 2019-12..2021-03 year
I grew up in the nineties. | the nineties = 1990..2000 decade
Music of the 80s is my thing. | the 80s = 1980..1990 decade
A vase from the 1920s. | the 1920s = 1920..1930 decade
She was famous in the early 2000s. | the early 2000s = 2000..2010 decade
I saw him yesterday. | yesterday = 2023-05-09 day
Just yesterday I joined a gym. | yesterday = 2023-05-09 day
My exam was yesterday. | yesterday = 2023-05-09 day
The day before yesterday it rained. | The day before yesterday = 2023-05-08 day
I leave the day after tomorrow. | the day after tomorrow = 2023-05-12 day
I had sushi today. | today = 2023-05-10 day
Earlier today I ran. | today = 2023-05-10 day
Are you free tonight? | tonight = 2023-05-10 day
Last night was great! | Last night = 2023-05-09 day
I overslept this morning. | this morning = 2023-05-10 day
See you tomorrow! | tomorrow = 2023-05-11 day
Tomorrow morning I swim. | Tomorrow morning = 2023-05-11 day
Call me tomorrow at 5pm. | tomorrow at 5pm = 2023-05-11T17:00 minute
At 7:15 am tomorrow we leave. | At 7:15 am tomorrow = 2023-05-11T07:15 minute
At 5 pm we left yesterday. | yesterday = 2023-05-09 day
Dinner tonight at 19:30. | tonight at 19:30 = 2023-05-10T19:30 minute
The talk is at noon, tomorrow, 12 pm. | tomorrow, 12 pm = 2023-05-11T12:00 minute
The call on 12 May 2023 at 9 a.m. was moved. | 12 May 2023 at 9 a.m = 2023-05-12T09:00 minute
Last week I won a game. | Last week = 2023-05-01..2023-05-08 week
This week has been busy. | this week = 2023-05-08..2023-05-15 week
The launch is next week. | next week = 2023-05-15..2023-05-22 week
Last month we moved. | Last month = 2023-04 month
We travel next month. | next month = 2023-06 month
Later this year I graduate. | this year = 2023 year
I got it last year's end. | last year = 2022 year
Next year we will see. | Next year = 2024 year
Last weekend we camped. | Last weekend = 2023-05-06..2023-05-08 week
We're hiking this weekend. | this weekend = 2023-05-13..2023-05-15 week
I went hiking this weekend. | this weekend = 2023-05-06..2023-05-08 week
This past weekend was insane. | This past weekend = 2023-05-06..2023-05-08 week
We go next weekend. | next weekend = 2023-05-13..2023-05-22 week
I finished it last Friday. | last Friday = 2023-05-05 day
I finished it last Tuesday. | last Tuesday = 2023-05-09 day
I have an exam this Friday. | this Friday = 2023-05-12 day
This coming Monday I start. | This coming Monday = 2023-05-15 day
We meet next Friday. | next Friday = 2023-05-12..2023-05-20 week
We meet next Monday. | next Monday = 2023-05-15 day
We saw her on Friday. | Friday = 2023-05-05 day
We'll see her on Friday. | Friday = 2023-05-12 day
We sold it in March, so I'm looking for another. | March = 2023-03 month
I got it in March and now I'm planning a trip. | March = 2023-03 month
I loved it, so we'll be back on Friday. | Friday = 2023-05-12 day
I have a dentist appointment on Tuesday. | Tuesday = 2023-05-16 day
Last summer I learned to surf. | Last summer = 2022-06..2022-09 season
Any plans this summer? | this summer = 2023-06..2023-09 season
Next summer we sail. | Next summer = 2023-06..2024-09 year
Last winter was mild. | Last winter = 2022-12..2023-03 season
Two weeks ago I fell. | Two weeks ago = 2023-04-24..2023-05-01 week
I came three days ago. | three days ago = 2023-05-07 day
A couple of years ago I quit smoking. | A couple of years ago = 2021 year
It was 6 months ago. | 6 months ago = 2022-11 month
She called an hour ago. | an hour ago = 2023-05-10 day
She called 20 minutes ago. | 20 minutes ago = 2023-05-10T15:10 minute
That was two weekends ago. | two weekends ago = 2023-04-29..2023-05-01 week
We met a decade ago. | a decade ago = 2008..2018 decade
Two years from now I will be done. | Two years from now = 2025 year
I'll be back in two months. | two months = 2023-07 month
The show starts three days from today. | three days from today = 2023-05-13 day
We're leaving in 3 weeks. | 3 weeks = 2023-05-29..2023-06-05 week
Yesterday I ran; today I rest. | Yesterday = 2023-05-09 day ; today = 2023-05-10 day
I moved in 2019 and again last month. | 2019 = 2019 year ; last month = 2023-04 month
It’s last week’s news. | last week = 2023-05-01..2023-05-08 week
"""

NOTHING = """
03/04 works for me.
Due 3/4/2023, whichever that is.
Due 7/5/2023.
30 February 2021 never was.
February 30th, 2021 neither.
2023-13-40 is a number.
2023-02-30 is no day.
31 April will not come.
29 February 2023 does not exist.
Sunday, May 8, 2023 was no Sunday.
You may come in.
May I ask something?
It may 2023 times fail.
Up to 7 may attend.
We march at dawn.
They march in step.
March 15 miles and rest.
The march was long.
He may march again.
I am tired.
We are here.
Wait a second.
The second time was better.
The sun is out.
I sat down.
Sat and sun are abbreviations.
Do not fall down.
Leaves fall slowly.
Does this fall under warranty?
Don't let this fall apart.
The spring in my mattress broke.
Does this spring to mind?
A spring of fresh water.
That is 2019 dollars.
It costs 50 in 2019 dollars.
I love 1984 the book.
I read about Winston in 1984, the novel.
Take route 2022 north.
We drove route 66.
Call 2023 for room service.
Room 2019 is free.
I wrote 2000 words.
It holds up to 2000 people.
Finish it in 2000 words.
He ran in 1500 metres races.
Cyberpunk 2077 is fun.
Windows 2000 was stable.
The 2012-2013 season was good.
My 2015 Honda is old.
It costs $2019.
Order #2023 shipped.
See /2019/05/ for more.
Version 2.2021.3 is out.
The population of 2000.
That's 1920x1080 pixels.
Call 555-2019.
It was 1,999 euros.
She is in her nineties.
He is in his 80s.
The temperature was in the nineties.
He scored in the 90s on his tests.
It happened in the 1900s.
I stayed for three years.
I have known her for two weeks.
It took three months.
I've been here since I was 10.
She is 30 years old.
Our one-year-old is walking.
I work out three times a week.
I lost 10 pounds in two months.
I read it in two days.
I practice in two hours blocks.
A few years ago we met.
It was some time ago.
Not too long ago I fell.
More than two years ago we met.
It was two or three years ago.
Over 5 years ago it began.
The last week of school is fun.
My last year of college was hard.
It was our last month together.
In the last month I lost weight.
Over the past week I slept badly.
The next week was worse.
Emma's last year was tough.
At last Friday came.
What's next may surprise you.
It lasted a week.
I go every Friday.
I work on Fridays.
On Friday I usually swim.
The meeting is on Friday.
I moved, and I'm free on Friday.
I booked a flight in June.
I'm planning to sell the bike that I bought on Friday.
On Monday and Tuesday I worked.
I went on Friday evenings.
Black Friday deals are on.
Friday is my favourite day.
I like May.
I like it in May.
It rains in May.
In May the flowers usually bloom.
I was born in April.
My birthday is on May 20.
My birthday is in June.
April said hello.
June came over and August too.
In April's garden we sat.
Every March we went skiing.
In the summer I swim.
I love summer.
Have a great day!
One day you will see.
These days I sleep well.
The other day I fell.
I was not born yesterday.
It feels like yesterday.
It seems like only yesterday.
The song "Yesterday" is sad.
Today's youth is fine.
Religions still relevant in society today.
Save it for a better tomorrow.
There is no tomorrow.
I love The Tonight Show.
Our last night there was sad.
Good morning!
This is it.
This week-long course is long.
Once a year we meet.
It was a 5 minute walk.
Give me two minutes.
He is next in line.
The last thing I want.
Next time we talk more.
This time it works.
Ich habe am Sonntag keine Zeit.
Am 3.4.2023 war ich krank.
Letzte Woche war gut.
Mañana iré a Madrid.
La semana pasada fui.
Hier soir il pleuvait.
Er kommt in 2 Tagen.
Hay 7 may 3.
https://example.com/2023/05/07/news
APR 10% is a lot.
Agosto 2023 va bene.
Chicago is far from here.
"""


def rows(table: str) -> list[str]:
    return [line for line in table.splitlines() if line]


def bound(text: str, *, end: bool) -> datetime:
    """The time that ``2023``, ``2023-05``, ``2023-05-07`` or ``2023-05-07T17:30`` begins at, or the next such one."""
    if "T" in text:
        return datetime.fromisoformat(text).replace(tzinfo=UTC) + timedelta(minutes=end)
    year, month, day = (*map(int, text.split("-")), None, None)[:3]
    if day:
        first = date(year, month or 1, day) + timedelta(days=end)
    elif month:
        first = date(year + (month == 12 and end), month % 12 + 1 if end else month, 1)
    else:
        first = date(year + end, 1, 1)
    return datetime(first.year, first.month, first.day, tzinfo=UTC)


def expected(label: str) -> tuple[str, datetime, datetime, str]:
    phrase, _, time = label.rpartition(" = ")
    span, unit = time.split()
    begins, dots, ends = span.partition("..")
    return phrase.strip().lower(), bound(begins, end=False), bound(ends or begins, end=not dots), unit


def found(text: str, said_at: datetime = WEDNESDAY) -> list[tuple[str, datetime, datetime, str]]:
    spans = time_spans(text, said_at=said_at)
    return [(text[each.start : each.end].lower(), each.begins, each.ends, each.unit) for each in spans]


@pytest.mark.parametrize("row", rows(NAMED))
def test_a_phrase_names_its_time(row: str) -> None:
    sentence, _, labels = row.partition(" | ")
    assert found(sentence) == [expected(label) for label in labels.split(" ; ")]


@pytest.mark.parametrize("sentence", rows(NOTHING))
def test_what_may_be_something_else_names_nothing(sentence: str) -> None:
    assert found(sentence) == []


def test_the_table_is_large_and_half_of_it_names_nothing() -> None:
    assert len(rows(NAMED)) >= 100 and len(rows(NOTHING)) >= len(rows(NAMED))


def test_tense_tells_where_a_time_lies() -> None:
    spans = time_spans("Last week I ran, today I rest, tomorrow I swim, this year too.", said_at=WEDNESDAY)
    assert [each.tense for each in spans] == ["past", "present", "future", "present"]


def only(text: str, said_at: datetime) -> TimeSpan:
    (span,) = time_spans(text, said_at=said_at)
    return span


@pytest.mark.parametrize(
    ("text", "said_on", "first"),
    [
        ("We camped last weekend.", "2023-05-13", "2023-05-06"),
        ("We camped last weekend.", "2023-05-14", "2023-05-06"),
        ("It's nice this weekend.", "2023-05-14", "2023-05-13"),
        ("We ride next weekend.", "2023-05-14", "2023-05-20"),
        ("I ran last Friday.", "2023-05-12", "2023-05-05"),
        ("I ran last Friday.", "2023-05-13", "2023-05-12"),
        ("We meet next Friday.", "2023-05-13", "2023-05-19"),
        ("I moved last week.", "2023-05-14", "2023-05-01"),
        ("I moved last month.", "2023-01-31", "2022-12-01"),
        ("I'll do it next month.", "2023-12-31", "2024-01-01"),
        ("I'll be back in two months.", "2023-11-30", "2024-01-01"),
        ("I moved a month ago.", "2023-03-31", "2023-02-01"),
        ("I swam a lot this summer.", "2023-10-10", "2023-06-01"),
        ("I swam a lot last summer.", "2023-10-10", "2023-06-01"),
        ("It snows this winter.", "2023-01-10", "2022-12-01"),
        ("We ski next winter.", "2023-01-10", "2023-12-01"),
        ("It snowed on February 29th.", "2024-04-01", "2024-02-29"),
    ],
)
def test_what_a_phrase_means_depends_on_the_day_it_is_said(text: str, said_on: str, first: str) -> None:
    said_at = datetime.fromisoformat(f"{said_on}T12:00:00+00:00")
    assert only(text, said_at).begins == datetime.fromisoformat(f"{first}T00:00:00+00:00")


@pytest.mark.parametrize("text", ["We saw her on Wednesday.", "We went in May.", "It snowed on February 29th."])
def test_a_day_or_month_that_is_going_on_or_far_is_left_alone(text: str) -> None:
    assert found(text) == []


def test_days_are_those_of_the_speakers_zone_and_come_back_in_utc() -> None:
    tokyo = timezone(timedelta(hours=9))
    span = only("I saw him yesterday.", datetime(2023, 5, 10, 3, tzinfo=tokyo))
    assert (span.begins, span.begins.tzinfo) == (datetime(2023, 5, 8, 15, tzinfo=UTC), UTC)
    assert found("yesterday", datetime(2023, 5, 10, 3)) == found("yesterday", datetime(2023, 5, 10, 3, tzinfo=UTC))


@pytest.mark.parametrize(
    "said_at", [datetime.min, datetime.max, datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=9)))]
)
def test_the_ends_of_the_calendar_name_what_they_can(said_at: datetime) -> None:
    text = " ".join(row.partition(" | ")[0] for row in rows(NAMED))
    assert all(span.begins < span.ends for span in time_spans(text, said_at=said_at))
    assert time_spans("I met him on 2023-05-07.", said_at=said_at)


def test_no_text_makes_it_slow() -> None:
    for part in ("last ", "in the ", "May 7 ", "2019 ", "two weeks ", "on Friday ", "1", " ", "a couple of ", "7 of "):
        assert len(time_spans(part * 5_000, said_at=WEDNESDAY)) <= 5_000


WORDS = sorted({word for row in rows(NAMED) + rows(NOTHING) for word in row.partition(" | ")[0].split()})
MOMENTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))]))
TEXTS = st.text(max_size=200) | st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=30).map(" ".join)


@settings(max_examples=400, deadline=None)
@given(text=TEXTS, said_at=MOMENTS)
def test_any_text_gives_spans_within_it_in_order_and_apart(text: str, said_at: datetime) -> None:
    spans = time_spans(text, said_at=said_at)
    places = [place for each in spans for place in (each.start, each.end)]
    assert places == sorted(places) and all(each.start < each.end for each in spans)
    assert not places or (places[0] >= 0 and places[-1] <= len(text))
    for each in spans:
        assert each.begins < each.ends and each.begins.tzinfo is UTC and each.ends.tzinfo is UTC
        now = "past" if each.ends <= said_at else "future" if each.begins > said_at else "present"
        assert each.tense == now


NEIGHBOURS = [
    "I like tea.",
    "We went there every May.",
    "Will you come?",
    "It cost 30 euros!",
    "He was born in 1990.",
    "İ ß.",
]


@settings(max_examples=400, deadline=None)
@given(
    row=st.sampled_from([row for row in rows(NAMED) if row.partition(" | ")[0][-1] in ".!?"]),
    before=st.lists(st.sampled_from(NEIGHBOURS), max_size=3),
    after=st.lists(st.sampled_from(NEIGHBOURS), max_size=3),
)
def test_other_sentences_change_nothing(row: str, before: list[str], after: list[str]) -> None:
    sentence = row.partition(" | ")[0]
    prefix = "".join(f"{each} " for each in before)
    spans = time_spans(prefix + sentence + "".join(f" {each}" for each in after), said_at=WEDNESDAY)
    within = [each for each in spans if len(prefix) <= each.start < len(prefix) + len(sentence)]
    alone = time_spans(sentence, said_at=WEDNESDAY)
    assert [(each.start - len(prefix), each.begins, each.ends) for each in within] == [
        (each.start, each.begins, each.ends) for each in alone
    ]
