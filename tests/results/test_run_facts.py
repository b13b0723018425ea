"""What is stored with a run."""

from pathlib import Path

import pytest
import yaml

from mdreid_bench.errors import DataError
from mdreid_bench.results.run_facts import GivenWeights, RunFacts, read_config
from mdreid_bench.results.schema import Record
from mdreid_bench.results.storage.hashes import canonical_hash
from mdreid_bench.results.store import RunFolder
from tests.results.factory import make_record
from tests.results.facts import make_facts
from tests.support import small_config


def test_facts_come_back_as_they_were_written(tmp_path: Path) -> None:
    given = GivenWeights(path="/somewhere/ünusual name.pth", digest="a" * 64)
    for facts in (make_facts(), make_facts(training=None, weights=given)):
        facts.write(tmp_path / "run.json")
        assert RunFacts.read(tmp_path / "run.json") == facts


def test_the_shared_fields_are_those_of_the_record() -> None:
    record = make_record(options={"rol": "paper"}, config_overrides={"batch": {"size": 4}})
    fields = dict(make_facts(record).shared)
    assert fields.keys() <= Record.model_fields.keys()
    assert fields == {name: getattr(record, name) for name in fields}


def test_missing_and_damaged_files_say_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    with pytest.raises(DataError, match=r"There is no .*run\.json; evaluate"):
        RunFacts.read(path)
    for content in ("", "{}", "[]", '{"schema_version": 2}'):
        path.write_text(content)
        with pytest.raises(DataError, match="is damaged; evaluate"):
            RunFacts.read(path)


def test_what_belongs_to_another_run_is_refused(tmp_path: Path) -> None:
    own, other = RunFolder(tmp_path / "own"), RunFolder(tmp_path / "other")
    configs = [small_config("mdreid", {"seed": seed}) for seed in (1, 2)]
    for folder, config in zip((own, other), configs, strict=True):
        make_facts(config=canonical_hash(config.determining())).write(folder.facts)
        folder.config.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    facts = RunFacts.read(own.facts)
    assert read_config(own.config, facts) == configs[0]
    with pytest.raises(DataError, match=r"other/config\.yaml is not the configuration that the run was made with"):
        read_config(other.config, facts)
    own.facts.write_bytes(other.facts.read_bytes())
    with pytest.raises(DataError, match=r"own/run\.json belongs to other/run\.json; evaluate the run once more"):
        RunFacts.read(own.facts)


def test_a_training_folder_cannot_lead_elsewhere() -> None:
    with pytest.raises(ValueError, match="training"):
        make_facts(training="../elsewhere")
