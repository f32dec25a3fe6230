import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faceswap_core import manifest, schemas
from faceswap_core.errors import ManifestError
from faceswap_core.schemas import DETECTIONS, REPORT, schema_name
from faceswap_core.storage import Workspace, sha256_file

SCHEMAS = [value for value in vars(schemas).values() if isinstance(value, pa.Schema)]
IDS = [schema_name(schema) for schema in SCHEMAS]


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


def example(kind, n):
    """A value of an Arrow type, different for every n."""
    if pa.types.is_fixed_size_list(kind):
        return [example(kind.value_type, n + i) for i in range(kind.list_size)]
    if pa.types.is_list(kind):
        return [example(kind.value_type, n + i) for i in range(n % 3)]
    if pa.types.is_struct(kind):
        return {field.name: example(field.type, n) for field in kind}
    if pa.types.is_boolean(kind):
        return n % 2 == 0
    if pa.types.is_unsigned_integer(kind):
        return n
    if pa.types.is_integer(kind):
        return n - 2
    if pa.types.is_floating(kind):
        return n / 4
    if pa.types.is_binary(kind):
        return bytes([n % 256, 0, 255])
    assert pa.types.is_string(kind), kind
    return f"Zoë {n}"


def rows_of(schema, count):
    return [{field.name: example(field.type, n) for field in schema} for n in range(count)]


def checks(count):
    return [{"check": str(n), "passed": True, "detail": ""} for n in range(count)]


@pytest.mark.parametrize("schema", SCHEMAS, ids=IDS)
class TestEverySchema:
    @pytest.mark.parametrize("count", [0, 1, 3, 150])
    def test_rows_come_back_as_they_were(self, workspace, schema, count):
        rows = rows_of(schema, count)
        ref = manifest.publish(workspace, "f", "n", schema, iter(rows))
        assert ref["rows"] == count
        assert ref["schema"] == schema_name(schema)
        assert list(manifest.stream(workspace, ref, schema)) == rows
        assert manifest.load(workspace, ref, schema).to_pylist() == rows

    def test_missing_columns_become_null(self, workspace, schema):
        ref = manifest.publish(workspace, "f", "n", schema, [{}])
        assert manifest.load(workspace, ref, schema).to_pylist() == [dict.fromkeys(schema.names)]

    def test_name_and_version_stand_in_the_file(self, workspace, schema):
        ref = manifest.publish(workspace, "f", "n", schema, [])
        assert schema_name(pq.read_schema(workspace.path(ref["path"]))) == schema_name(schema)
        name, version = schema_name(schema).split("/")
        assert name
        assert int(version) >= 1


def test_schemas_have_names_of_their_own():
    assert len(set(IDS)) == len(IDS) > 10
    assert all(name != "" for name in IDS)


def test_name_of_the_file_carries_the_digest(workspace):
    ref = manifest.publish(workspace, "stage", "report-0003", REPORT, checks(2))
    assert ref["path"] == f"stage/report-0003-{ref['sha256'][:12]}.parquet"


def test_equal_rows_give_the_same_file(workspace):
    first, second = (manifest.publish(workspace, "f", "n", REPORT, checks(100)) for _ in range(2))
    assert first == second


def test_row_groups_hold_at_most_64_rows(workspace):
    ref = manifest.publish(workspace, "f", "n", REPORT, checks(200))
    file = pq.ParquetFile(workspace.path(ref["path"]))
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    file.close()
    assert sizes == [64, 64, 64, 8]


def test_rows_are_taken_one_group_at_a_time(workspace):
    taken = []

    def rows():
        for row in checks(200):
            taken.append(row)
            yield row

    ref = manifest.publish(workspace, "f", "n", REPORT, rows())
    assert len(taken) == 200
    reading = manifest.stream(workspace, ref, REPORT)
    assert next(reading)["check"] == "0"
    reading.close()


def test_only_the_wanted_columns_are_read(workspace):
    ref = manifest.publish(workspace, "f", "n", REPORT, checks(1))
    assert list(manifest.stream(workspace, ref, REPORT, ["check"])) == [{"check": "0"}]
    assert manifest.load(workspace, ref, REPORT, ["passed"]).column_names == ["passed"]


def test_metadata_comes_back_beside_the_schema(workspace):
    ref = manifest.publish(workspace, "f", "n", REPORT, [], {"chunk": "é{}"})
    found = manifest.metadata(workspace, ref, REPORT)
    assert found["chunk"] == "é{}"
    assert found["faceswap.schema"] == "report/1"


READERS = [
    lambda w, ref, schema: list(manifest.stream(w, ref, schema)),
    lambda w, ref, schema: manifest.load(w, ref, schema),
    lambda w, ref, schema: manifest.metadata(w, ref, schema),
]


@pytest.mark.parametrize("read", READERS, ids=["stream", "load", "metadata"])
class TestRefusals:
    def test_missing_file_is_refused(self, workspace, read):
        ref = manifest.publish(workspace, "f", "n", REPORT, checks(1))
        workspace.path(ref["path"]).unlink()
        with pytest.raises(ManifestError, match="is missing"):
            read(workspace, ref, REPORT)

    def test_altered_file_is_refused(self, workspace, read):
        ref = manifest.publish(workspace, "f", "n", REPORT, checks(1))
        path = workspace.path(ref["path"])
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        with pytest.raises(ManifestError, match="altered"):
            read(workspace, ref, REPORT)

    def test_file_swapped_for_another_whole_manifest_is_refused(self, workspace, read):
        one = manifest.publish(workspace, "f", "n", REPORT, checks(1))
        two = manifest.publish(workspace, "f", "n", REPORT, checks(2))
        workspace.path(one["path"]).write_bytes(workspace.path(two["path"]).read_bytes())
        with pytest.raises(ManifestError, match="altered"):
            read(workspace, one, REPORT)

    def test_other_schema_is_refused(self, workspace, read):
        ref = manifest.publish(workspace, "f", "n", REPORT, checks(1))
        with pytest.raises(ManifestError, match="'report/1', not 'detections/1'"):
            read(workspace, ref, DETECTIONS)

    def test_other_version_of_the_schema_is_refused(self, workspace, read):
        old = REPORT.with_metadata({"faceswap.schema": "report/0"})
        ref = manifest.publish(workspace, "f", "n", old, checks(1))
        with pytest.raises(ManifestError, match="'report/0'"):
            read(workspace, ref, REPORT)

    def test_path_outside_the_workspace_is_refused(self, workspace, read):
        ref = manifest.publish(workspace, "f", "n", REPORT, checks(1))
        with pytest.raises(ManifestError, match="leaves the workspace"):
            read(workspace, {**ref, "path": "../../" + ref["path"]}, REPORT)


def test_row_that_does_not_fit_the_schema_publishes_nothing(workspace):
    with pytest.raises(pa.ArrowInvalid):
        manifest.publish(workspace, "f", "n", REPORT, [{"check": "a", "passed": "perhaps", "detail": ""}])
    assert [p for p in workspace.root.rglob("*") if p.is_file()] == []


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(0, 2**40), st.lists(st.floats(width=32, allow_nan=False), min_size=4, max_size=4)),
        max_size=140,
    )
)
def test_any_detections_come_back_exactly(tmp_path, values):
    workspace = Workspace(tmp_path)
    rows = [{"frame_index": n, "box_xyxy": box} for n, box in values]
    ref = manifest.publish(workspace, "f", "n", DETECTIONS, rows)
    back = list(manifest.stream(workspace, ref, DETECTIONS, ["frame_index", "box_xyxy"]))
    assert back == rows


def test_images_use_the_form_that_other_programs_read():
    for schema in SCHEMAS:
        for field in schema:
            if field.name in ("chip", "mask", "patch"):
                assert field.type == pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def test_times_are_whole_ticks_in_every_schema():
    for schema in SCHEMAS:
        for field in schema:
            if "pts" in field.name or field.name in ("duration", "frame_index"):
                assert field.type == pa.int64(), (schema_name(schema), field.name)


def test_not_a_number_stays_what_it_is(workspace):
    ref = manifest.publish(workspace, "f", "n", schemas.EVALUATION, [{"frame_index": 1, "swap": np.nan}])
    assert math.isnan(next(manifest.stream(workspace, ref, schemas.EVALUATION))["swap"])


class TestBombs:
    """Files whose metadata and digest are right, and that no run of this program wrote."""

    def planted(self, workspace, table, rows=None):
        path = workspace.root / "planted.parquet"
        workspace.root.mkdir(exist_ok=True)
        pq.write_table(table, path, compression="zstd")
        sha256 = sha256_file(path)
        return {"path": path.name, "sha256": sha256, "rows": rows or len(table), "schema": schema_name(REPORT)}

    def zeros(self, schema, rows):
        nothing = [pa.nulls(rows, field.type) for field in schema]
        return pa.table(nothing, schema=schema)

    def refused(self, workspace, ref, said):
        for read in (manifest.load, lambda *given: next(manifest.stream(*given)), manifest.metadata):
            with pytest.raises(ManifestError, match=said):
                read(workspace, ref, REPORT)

    def test_ten_million_rows_in_a_small_file_are_refused_unread(self, workspace):
        ref = self.planted(workspace, self.zeros(REPORT, 10_000_000))
        assert workspace.path(ref["path"]).stat().st_size < 100_000
        self.refused(workspace, ref, "10000000 rows")

    def test_other_rows_than_the_reference_says_are_refused(self, workspace):
        self.refused(workspace, self.planted(workspace, self.zeros(REPORT, 70), rows=3), "70 rows")

    def test_other_columns_under_the_name_of_a_schema_are_refused(self, workspace):
        table = pa.table({"check": [1], "passed": ["x"]}).replace_schema_metadata(REPORT.metadata)
        self.refused(workspace, self.planted(workspace, table), "other columns")

    def test_a_table_that_fills_the_memory_is_not_read_whole(self, workspace, monkeypatch):
        monkeypatch.setattr(manifest, "_MAX_BYTES", 1_000_000)
        wide = pa.schema([("numbers", pa.list_(pa.float64(), 4096))], metadata=REPORT.metadata)
        ref = self.planted(workspace, self.zeros(wide, 40))
        assert next(manifest.stream(workspace, ref, wide))
        with pytest.raises(ManifestError, match="1310720 bytes"):
            manifest.load(workspace, ref, wide)
