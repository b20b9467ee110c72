from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from agentmem import config
from agentmem.errors import ConfigError
from agentmem.interfaces import TokenCounter
from agentmem.lifecycle.compression_rules import CompressionRules
from agentmem.lifecycle.retention import RetentionRule
from agentmem.retrieval.options import RetrievalOptions


class Counts(TokenCounter):
    name = "counts"
    is_exact = False

    def __init__(self, api_key: str = "", folder: Path | None = None, size: int = 1) -> None:
        self.given = (api_key, folder, size)

    def count(self, text: str) -> int:
        return len(text)


Write = Callable[[str | bytes], Path]
COUNTS = f"{__name__}:Counts"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes agentmem.yaml."""

    def written(text: str | bytes) -> Path:
        file = tmp_path / "agentmem.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    return written


def said(text: str, write: Write) -> str:
    with pytest.raises(ConfigError) as caught:
        config.load(write(text))
    return str(caught.value)


def test_an_empty_file_is_the_default(write: Write) -> None:
    read = config.load(write(""))
    assert (read.vectors.type, read.embedder.type if read.embedder else None) == ("exact", "static")
    assert read.retrieval_options() == RetrievalOptions()


def test_the_file_that_init_writes_says_the_defaults(write: Write) -> None:
    text = config.commented_yaml()
    assert text.startswith("# yaml-language-server: $schema=./agentmem.schema.json\n")
    read, bare = config.load(write(text)), config.load(write(""))
    assert read.model_dump(exclude={"scope"}) == bare.model_dump(exclude={"scope"})


def test_every_commented_line_that_init_writes_is_accepted_once_it_is_no_comment(
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("DATABASE_URL", "sqlite:///other.db")
    text = config.commented_yaml()
    uncommented = text.replace("\n# retrieval:\n", "\nretrieval:\n")
    for name in (field.name for field in dataclasses.fields(RetrievalOptions)):
        uncommented = uncommented.replace(f"#   {name}:", f"  {name}:")
    for line in (
        'embedder: {type: openai, model: text-embedding-3-small, api_key: "${OPENAI_API_KEY}"}',
        "vectors: {type: chroma, path: ./chroma}",
        'llm: {type: openai, model: gpt-5-mini, api_key: "${OPENAI_API_KEY}"}',
        "extractor: {type: llm, budget: {calls_per_day: 1000}}",
        "compressor: {type: llm, budget: {calls_per_day: 1000}}",
        "compression: {after_turns: 40, idle: 30m, keep_last: 6, levels: [session, week]}",
        "plugins: {allow: [agentmem-hashing]}",
    ):
        assert f"# {line}" in uncommented
        key = line.partition(":")[0]
        kept = [each for each in uncommented.splitlines() if not each.startswith(f"{key}:")]
        config.load(write("\n".join([*kept, line])))
    assert config.load(write(uncommented)).retrieval_options() == RetrievalOptions()


def test_every_weight_of_retrieval_can_be_said() -> None:
    for field in dataclasses.fields(RetrievalOptions):
        other = (not field.default) if field.default is True else 2 * field.default
        changed = config.from_mapping({"retrieval": {field.name: other}}).retrieval_options()
        assert getattr(changed, field.name) == other


def test_retention_is_read_as_rules_in_their_order() -> None:
    rules = config.from_mapping(
        {
            "retention": [
                {"kinds": ["rule", "identity"], "keep": True},
                {"user": "guest", "expire_after": "12h"},
                {"kinds": ["turn"], "compress_after": "6w", "expire_after": "1y"},
            ]
        }
    ).retention_rules()
    assert rules == (
        RetentionRule(kinds=frozenset({"rule", "identity"}), keep=True),
        RetentionRule(user="guest", expire_after=timedelta(hours=12)),
        RetentionRule(kinds=frozenset({"turn"}), compress_after=timedelta(weeks=6), expire_after=timedelta(days=365)),
    )


def test_when_to_compress_is_read_as_rules() -> None:
    said_in_yaml = {"after_turns": 40, "idle": "30m", "keep_last": 6, "levels": ["session", "week"]}
    rules = CompressionRules(after_turns=40, idle=timedelta(minutes=30), keep_last=6, levels=("session", "week"))
    assert config.from_mapping({"compression": said_in_yaml}).backends()["compression"] == rules
    assert not config.from_mapping({}).compression.rules().apply


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("{after_turn: 9}", "compression.after_turn: there is no such key. Did you mean 'after_turns'?"),
        ("{idle: 3w}", "compression.idle: idle is written 30m, 12h or 1d, not '3w'."),
        ("{idle: 30}", "idle is written 30m, 12h or 1d"),
        ("{keep_last: -1}", "keep_last must be a whole number of at least 0, not -1."),
        ("{levels: [session, month]}", "compression.levels"),
        ("{levels: [week]}", "levels needs session"),
    ],
)
def test_when_to_compress_is_read_strictly(rules: str, expected: str, write: Write) -> None:
    assert expected in said(f"compression: {rules}\n", write)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("{kinds: [turns], keep: true}", "kinds: there is no kind 'turns'. Did you mean 'turn'? It takes some of"),
        ("{kinds: [], keep: true}", "kinds is empty"),
        ("{expire_afte: 90d}", "retention[0].expire_afte: there is no such key. Did you mean 'expire_after'?"),
        ("{expire_after: 3 months}", "retention[0].expire_after: a duration is written 12h, 90d, 6w or 1y, not '3 m"),
        ("{expire_after: 90}", "a duration is written 12h, 90d, 6w or 1y, not 90"),
        ("{expire_after: 0d}", "a duration is written"),
        ("{expire_after: 2000y}", "at most 1,000 years"),
        ("{keep: true, expire_after: 90d}", "keep and expire_after contradict each other"),
        ("{keep: 'yes'}", "retention[0].keep: "),
        ("{user: ana}", "needs one of keep, expire_after and compress_after"),
        ("{kinds: [fact], compress_after: 90d}", "compress_after is about turns"),
        ("{kinds: turn, expire_after: 90d}", "retention[0].kinds: must be a list, not 'turn'."),
        ("{compress_after: 1y, expire_after: 90d}", "compress_after must be shorter than expire_after"),
        ("{compress_after: 90d, expire_after: 90d}", "compress_after must be shorter than expire_after"),
    ],
)
def test_a_retention_rule_that_cannot_be_meant_is_refused(rule: str, expected: str, write: Write) -> None:
    assert expected in said(f"retention:\n  - {rule}\n", write)
    assert "agentmem.yaml:2" in said(f"retention:\n  - {rule}\n", write)


@pytest.mark.parametrize(
    ("rules", "decided"),
    [
        (["{expire_after: 1y}", "{kinds: [turn], expire_after: 90d}"], "retention[0]"),
        (["{user: ana, keep: true}", "{user: ana, agent: coach, expire_after: 90d}"], "retention[0]"),
        (["{kinds: [turn], keep: true}", "{kinds: [fact], expire_after: 90d}"], "retention[0]"),
        (["{kinds: [rule], keep: true}", "{kinds: [identity], keep: true}", "{kinds: [rule, identity], keep: true}"],
         "retention[0] and retention[1]"),
    ],
)  # fmt: skip
def test_a_retention_rule_that_never_decides_is_refused(rules: list[str], decided: str, write: Write) -> None:
    text = "retention:\n" + "".join(f"  - {rule}\n" for rule in rules)
    assert said(text, write) == (
        f"agentmem.yaml:{len(rules) + 1}: retention[{len(rules) - 1}]: nothing is left for it "
        f"after {decided}: the first rule that matches decides."
    )


@pytest.mark.parametrize(
    "rules",
    [
        ["{user: ana, keep: true}", "{expire_after: 90d}"],
        ["{kinds: [fact], keep: true}", "{kinds: [turn], expire_after: 90d}"],
        ["{agent: coach, keep: true}", "{user: ana, expire_after: 90d}"],
        ["{kinds: [rule], tenant: acme, keep: true}", "{kinds: [rule], expire_after: 90d}"],
    ],
)
def test_a_retention_rule_that_has_something_left_to_decide_is_taken(rules: list[str], write: Write) -> None:
    text = "retention:\n" + "".join(f"  - {rule}\n" for rule in rules)
    assert len(config.load(write(text)).retention) == 2


def test_a_typo_says_where_what_was_meant_and_what_there_is(write: Write) -> None:
    assert said("version: 1\nvector: exact\n", write) == (
        "agentmem.yaml:2: vector: there is no such key. Did you mean 'vectors'? The file takes: version, scope, log, "
        "vectors, embedder, retrieval, reranker, extractor, compressor, llm, tokens, context, wrap, retention, "
        "compression, plugins."
    )
    assert "agentmem.yaml:2: retrieval.leixcal: there is no such key. Did you mean 'lexical'?" in said(
        "retrieval:\n  leixcal: 1\n", write
    )


def test_a_wrong_option_of_a_backend_is_a_sentence(write: Write) -> None:
    assert said("vectors:\n  type: chroma\n  pth: ./x\n", write) == (
        "agentmem.yaml:1: vectors: ChromaVectors takes no 'pth'. Did you mean 'path'? "
        "It takes: path, host, port, ssl, collection_prefix."
    )


def test_every_mistake_is_listed_at_once_in_the_order_of_the_file(write: Write) -> None:
    text = "scope: {user: '${NOT_SET_ANYWHERE}'}\nvectors: chrom\nretrieval: {dense: x}\nembeder: static\nlog: {}\n"
    lines = said(text, write).splitlines()
    assert lines[0] == "agentmem.yaml has 5 problems:"
    assert [line.strip().split(" ")[0:2] for line in lines[1:]] == [
        ["agentmem.yaml:1:", "scope.user:"],
        ["agentmem.yaml:2:", "vectors:"],
        ["agentmem.yaml:3:", "retrieval.dense:"],
        ["agentmem.yaml:4:", "embeder:"],
        ["agentmem.yaml:5:", "log:"],
    ]


def test_a_key_that_stands_twice_is_refused_with_both_lines(write: Write) -> None:
    assert said("scope:\n  user: ana\n  agent: x\n  user: ben\n", write) == (
        "agentmem.yaml:4: scope.user is there twice; it stands in line 2 already."
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a\n- b\n", "must be a mapping"),
        ("a: [1\n", "agentmem.yaml:2: expected ',' or ']'"),
        (
            "version: 1\nllm: {type: openai, api_key: ${KEY}}\n",
            'agentmem.yaml:2: a variable inside {…} must be quoted: write "${KEY}"',
        ),
        ("plugins: {allow: [${ONE:-a}]}\n", 'write "${ONE:-a}"'),
        ("log: {url: sqlite:///${DIR}/x.db}\n", "must be quoted"),
        ("llm: {type: {}\n", "expected ',' or '}'"),
        ("a: &a [*a]\n", "nested deeper"),
        ("log: !!python/object/apply:os.system ['true']\n", "agentmem.yaml:1: the tag"),
        ("log: !!binary aGk=\n", "agentmem.yaml:1: the tag"),
        ("1: x\n", "keys should be strings"),
        ("version: 2\n", "reads version 1"),
        ("version: '1'\n", "reads version 1"),
        ("retrieval: {dense: '0.5'}\n", "valid number, not '0.5'"),
        ("retrieval: {dense: true}\n", "valid number, not True"),
        ("retrieval: {dense: -1}\n", "dense must be a number of at least 0"),
        ("retrieval: {rerank_pool: 1.5}\n", "rerank_pool: input should be a valid integer"),
        ("scope: {require: [usr]}\n", "scope.require[0]: input should be 'user'"),
        ("scope: ana\n", "scope: must be a mapping"),
        ("log: null\n", "log: "),
        ("log: {url: x}\n", "a backend needs a 'type'"),
        ("plugins: {allow: agentmem-x}\n", "plugins.allow: must be a list"),
        ("log: '${'\n", "'${' begins no variable"),
        ("scope: {user: 2024-13-45}\n", "agentmem.yaml: a value cannot be read"),
        pytest.param(f"version: {'9' * 5_000}\n", "agentmem.yaml: a value cannot be read", id="a long number"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, expected: str, write: Write) -> None:
    assert expected in said(text, write)


def test_a_file_that_is_not_utf8_names_its_byte(write: Write) -> None:
    with pytest.raises(ConfigError, match=r"agentmem.yaml:2 is not UTF-8 \(byte 18\)"):
        config.load(write(b"version: 1\n# caf\xc3\xa9\xff\n"))


def test_variables_are_replaced_inside_strings_after_parsing(
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WHO", "ana: {x}\n- y")
    monkeypatch.setenv("EMPTY", "")
    read = config.load(write('scope: {user: "${WHO}", agent: "${NOBODY_SET_THIS:-coach}", session: "$$5 ${EMPTY:-e}"}'))
    assert (read.scope.user, read.scope.agent, read.scope.session) == ("ana: {x}\n- y", "coach", "$5 e")


def test_a_variable_may_spell_a_number_where_a_number_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHT", "0.25")
    monkeypatch.setenv("SIZE", "7")
    read = config.from_mapping(
        {"retrieval": {"dense": "${WEIGHT}"}, "tokens": {"type": COUNTS, "size": "${SIZE}", "api_key": "${SIZE}"}}
    )
    assert read.retrieval_options().dense == 0.25
    assert read.tokens is not None
    assert (read.tokens.options["size"], read.tokens.options["api_key"]) == (7, "7")
    monkeypatch.setenv("WEIGHT", "much")
    with pytest.raises(ConfigError, match=r"retrieval\.dense: input should be a valid number"):
        config.from_mapping({"retrieval": {"dense": "${WEIGHT}"}})


def test_a_missing_variable_is_named_with_its_place(write: Write) -> None:
    assert said("vectors:\n  type: chroma\n  port: ${NOT_SET_ANYWHERE}\n", write) == (
        "agentmem.yaml:3: vectors.port: the environment has no NOT_SET_ANYWHERE. "
        "Set it, or write ${NOT_SET_ANYWHERE:-default}."
    )


def test_no_message_and_no_repr_shows_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "hunter2")
    read = config.from_mapping({"tokens": {"type": COUNTS, "api_key": "${KEY}"}})
    assert "hunter2" not in repr(read) + str(read)
    with pytest.raises(ConfigError) as caught:
        config.from_mapping({"tokens": {"type": COUNTS, "size": "${KEY}", "key": "${KEY}"}, "llm": ["${KEY}"]})
    assert "hunter2" not in str(caught.value)


def test_relative_paths_start_at_the_file(write: Write, tmp_path: Path) -> None:
    read = config.load(
        write(
            f"log: sqlite:///data/m.db\nvectors: {{type: chroma, path: ./c}}\ntokens: {{type: '{COUNTS}', folder: f}}\n"
        )
    )
    assert read.log.options["url"] == f"sqlite:///{tmp_path.resolve() / 'data/m.db'}"
    assert read.vectors.options["path"] == str(tmp_path.resolve() / "c")
    assert read.tokens is not None
    assert read.tokens.options["folder"] == tmp_path.resolve() / "f"


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:////abs/m.db", "postgresql+psycopg://u:p@host/db"])
def test_what_is_no_relative_path_stays_as_it_is(url: str, write: Write) -> None:
    assert config.load(write(f"log: {url}\n")).log.options["url"] == url


@pytest.mark.parametrize("log", ["{type: sql, url: %r}", "{type: sealed, url: %r, keys: keys}"])
def test_the_folder_of_the_database_is_made(log: str, tmp_path: Path, write: Write) -> None:
    read = config.load(write(f"log: {log % 'sqlite:///new folder/deep/m.db'}\n"))
    read.backends()
    assert (tmp_path / "new folder" / "deep").is_dir()


def test_the_file_is_the_one_named_then_the_variable_then_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("named", "variable", "agentmem"):
        (tmp_path / f"{name}.yaml").write_text(f"scope: {{user: {name}}}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AGENTMEM_CONFIG", raising=False)
    assert config.load().scope.user == "agentmem"
    monkeypatch.setenv("AGENTMEM_CONFIG", str(tmp_path / "variable.yaml"))
    assert config.load().scope.user == "variable"
    assert config.load(tmp_path / "named.yaml").scope.user == "named"


def test_without_a_file_the_error_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AGENTMEM_CONFIG", raising=False)
    with pytest.raises(ConfigError, match="agentmem init"):
        config.load()
    with pytest.raises(ConfigError, match=r"nowhere.yaml cannot be read"):
        config.load(tmp_path / "nowhere.yaml")


def test_an_embedder_can_be_switched_off() -> None:
    assert config.from_mapping({"embedder": None}).embedder is None


def test_a_mapping_is_read_as_a_file_is() -> None:
    with pytest.raises(ConfigError, match=r"mine: vectors: there is no 'chrom'. Did you mean 'chroma'"):
        config.from_mapping({"vectors": "chrom"}, place="mine")
    with pytest.raises(ConfigError, match="must be a mapping, not list"):
        config.from_mapping([])  # type: ignore[arg-type]


LLM = {"type": "openai", "model": "small", "base_url": "http://localhost:1/v1"}


def test_the_extractors_own_model_is_checked_as_any_backend(tmp_path: Path) -> None:
    said = {"extractor": {"type": "llm", "llm": LLM, "budget": {"calls_per_day": 5}, "prompt": "mine.md"}}
    options = config.from_mapping(said, base=tmp_path).backends()["extractor"]
    assert options["llm"]["type"].__name__ == "OpenAILLM"
    assert options["llm"]["model"] == "small"
    assert (options["budget"].calls_per_day, options["prompt"]) == (5, tmp_path / "mine.md")


@pytest.mark.parametrize(
    ("llm", "said"),
    [
        ({**LLM, "modle": "x"}, r"extractor\.llm: OpenAILLM takes no 'modle'\. Did you mean 'model'\?"),
        ("opnai", r"extractor\.llm: there is no 'opnai'\. Did you mean 'openai'\?"),
        ({"model": "small"}, r"extractor\.llm: a backend needs a 'type'"),
    ],
)
def test_a_mistake_in_the_extractors_own_model_is_named_with_its_place(llm: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config.from_mapping({"extractor": {"type": "llm", "llm": llm}})


def test_a_limit_that_there_is_not_is_refused() -> None:
    wanted = (
        r"'budget': there is no 'calls_a_day' in it\. Did you mean 'calls_per_day'\? It takes: calls_per_day, .*\.$"
    )
    with pytest.raises(ConfigError, match=wanted):
        config.from_mapping({"extractor": {"type": "llm", "budget": {"calls_a_day": 5}}})
    with pytest.raises(ConfigError, match=r"'budget': calls: input should be a valid integer.* or tokens: input"):
        config.from_mapping({"extractor": {"type": "llm", "budget": {"calls": "x", "tokens": "y"}}})


def test_the_schema_holds_every_definition_that_it_refers_to() -> None:
    schema = config.json_schema()
    referred = set(re.findall(r"#/\$defs/(\w+)", json.dumps(schema)))
    assert referred <= set(schema["$defs"])
    extractors = schema["properties"]["extractor"]["anyOf"]
    llm = next(each for each in extractors if each.get("properties", {}).get("type") == {"const": "llm"})
    assert {"llm", "budget", "batch_tokens"} <= set(llm["properties"])
    assert {"breaker", "clock", "counter"}.isdisjoint(llm["properties"])


def test_the_schema_knows_every_key_and_the_options_of_backends() -> None:
    schema = json.loads(json.dumps(config.json_schema()))
    assert set(schema["properties"]) == set(config.Config.model_fields)
    assert schema["additionalProperties"] is False
    named = [each for each in schema["properties"]["vectors"]["anyOf"] if "properties" in each]
    chroma = next(each for each in named if each["properties"]["type"].get("const") == "chroma")
    assert {"path", "host", "port"} <= set(chroma["properties"])
    assert chroma["additionalProperties"] is False
    assert set(schema["$defs"]["RetrievalRules"]["properties"]) == {
        f.name for f in dataclasses.fields(RetrievalOptions)
    }


def test_the_folder_of_spill_files_starts_at_the_file(tmp_path: Path) -> None:
    (tmp_path / "agentmem.yaml").write_text("wrap: {spill: late, write_deadline_s: 1}\n")
    options = config.load(tmp_path / "agentmem.yaml").wrap_options()
    assert (options.spill_folder, options.write_deadline_s) == (tmp_path / "late", 1)
