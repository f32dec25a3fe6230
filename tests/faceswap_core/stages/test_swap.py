import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from faceswap_core import manifest
from faceswap_core.config import AlignSettings, BlendSettings, SmoothSettings
from faceswap_core.errors import ManifestError
from faceswap_core.faces.color import missed_light
from faceswap_core.faces.geometry import apply, chip_to_view
from faceswap_core.models.augment import plain_views
from faceswap_core.schemas import ALIGNED, COLOR_STATS, SMOOTHED, SWAPPED
from faceswap_core.stages.images import pack, png, unpack
from faceswap_core.stages.paste import paste_all
from faceswap_core.stages.smooth import smooth_frames
from faceswap_core.stages.swap import swap_frames
from faceswap_core.stages.weights import Swapper, WeightsFacts
from faceswap_core.storage import Workspace


def rows_of(chain, refs, schema):
    return [row for ref in refs for row in manifest.stream(chain.workspace, ref, schema)]


class TestImages:
    @given(
        st.sampled_from([(), (3,), (4,)]).flatmap(
            lambda c: st.tuples(st.integers(1, 20), st.integers(1, 20)).flatmap(
                lambda s: arrays(np.uint8, (*s, *c), elements=st.integers(0, 255))
            )
        )
    )
    def test_any_image_comes_back_to_the_last_bit(self, image):
        back = unpack(pack(image))
        assert back.shape == image.shape
        np.testing.assert_array_equal(back, image)

    def test_colours_are_written_in_the_usual_order(self):
        import cv2

        red = np.zeros((2, 2, 3), np.uint8)
        red[..., 0] = 255
        assert cv2.imdecode(np.frombuffer(png(red), np.uint8), cv2.IMREAD_COLOR)[0, 0].tolist() == [0, 0, 255]

    @pytest.mark.parametrize("data", [b"", None, b"no image", b"\x89PNG\r\n\x1a\n"])
    def test_bytes_that_are_no_image_are_refused(self, data):
        with pytest.raises(ManifestError, match="no image"):
            unpack({"bytes": data, "path": None})


class TestSwap:
    def test_patch_has_the_matrix_its_chip_was_cut_by(self, chain, plate, swapped):
        aligned = rows_of(chain, [c["aligned"] for c in plate.aligned], ALIGNED)
        view = chip_to_view(64, 0.625, 64)
        places = np.array([[10.0, 20], [200, 100]])
        for face, row in zip(aligned, rows_of(chain, swapped, SWAPPED), strict=True):
            assert (row["frame_index"], row["face_index"]) == (face["frame_index"], face["face_index"])
            in_chip = apply(np.array(face["matrix"]).reshape(2, 3), places)
            in_patch = apply(np.array(row["matrix"]).reshape(2, 3), places)
            np.testing.assert_allclose(in_patch, apply(view, in_chip), atol=1e-9)
            assert unpack(row["patch"]).shape == (64, 64, 4)

    def test_number_of_faces_a_pass_changes_at_most_the_last_bit(self, chain, plate, trained, swapped):
        for one, other in zip(
            rows_of(chain, swapped, SWAPPED),
            rows_of(chain, chain.swap(plate, trained["weights"], batch=5), SWAPPED),
            strict=True,
        ):
            assert np.abs(unpack(one["patch"]).astype(int) - unpack(other["patch"])).max() <= 1

    def test_plates_colours_go_to_the_network_and_back(self, chain, plate, trained):
        """The drawn face lies in the plate's colours: undoing the map gives what the network drew."""
        swapper = Swapper(chain.workspace, trained["weights"], torch.device("cpu"))
        view = np.full((1, 64, 64, 3), 120, np.float32)
        drawn = swapper.draw(view, source=0, target=1)
        common = swapper.facts.colors[0].to_common.apply(view)
        x = torch.from_numpy(common / 255).permute(0, 3, 1, 2)
        wanted, again = (swapper.network(x, 0, side).permute(0, 2, 3, 1).numpy() * 255 for side in (1, 0))
        np.testing.assert_allclose(swapper.draw(view, source=0, target=0), again, atol=0.01)
        wanted[..., :3] += missed_light(common, again[..., :3], again[..., 3] / 255)
        np.testing.assert_allclose(drawn, wanted, atol=0.01)
        assert not np.allclose(drawn, again)

    def test_patch_has_its_own_contrast_about_the_mean_colours_of_the_plate(
        self, chain, plate, trained, swapped, stats
    ):
        face = rows_of(chain, [plate.aligned[0]["aligned"]], ALIGNED)[0]
        patch = unpack(rows_of(chain, swapped[:1], SWAPPED)[0]["patch"])
        swapper = Swapper(chain.workspace, trained["weights"], torch.device("cpu"))
        view = plain_views(unpack(face["chip"])[None], resolution=64, coverage=0.625)
        drawn = swapper.draw(view, source=0, target=1)[0]
        whole = {r["subject"]: r for r in rows_of(chain, [stats], COLOR_STATS) if r["track_id"] is None}
        wanted = np.clip(drawn[..., :3] + np.array(whole["a"]["mean"]) - np.array(whole["b"]["mean"]), 0, 255)
        assert not np.allclose(whole["a"]["scale"], 1, atol=0.02)
        assert np.abs(patch[..., :3] - wanted).max() <= 1
        assert np.abs(patch[..., 3] - drawn[..., 3]).max() <= 1

    def test_direction_decides_who_is_drawn(self, chain, plate, trained, swapped):
        from faceswap_core.config import RuntimeSettings, SwapTarget

        runtime, align = RuntimeSettings(device="cpu", threads=1), AlignSettings(size=64)
        aligned = plate.aligned[0]["aligned"]
        again = swap_frames(
            chain.workspace, 0, aligned, trained["weights"], ("a", "a"), align, SwapTarget(to="a", batch=1), runtime
        )
        assert rows_of(chain, [again], SWAPPED) != rows_of(chain, swapped[:1], SWAPPED)

    def test_altered_chips_are_refused(self, chain, plate, trained, tmp_path):
        import shutil
        from dataclasses import replace

        aligned = plate.aligned[0]["aligned"]
        for ref in (aligned, trained["weights"]):
            (tmp_path / ref["path"]).parent.mkdir(parents=True)
            shutil.copy(chain.workspace.path(ref["path"]), tmp_path / ref["path"])
        path = tmp_path / aligned["path"]
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        with pytest.raises(ManifestError, match="altered"):
            replace(chain, workspace=Workspace(tmp_path)).swap(plate, trained["weights"])


class TestSmooth:
    """Patches that show one grey each, so that who was averaged with whom can be read off."""

    @pytest.fixture
    def run(self, tmp_path):
        workspace = Workspace(tmp_path)

        def run(rows, before=(), after=(), **settings):
            def published(part):
                patches = [
                    {
                        "frame_index": frame,
                        "face_index": face,
                        "track_id": track,
                        "shot": shot,
                        "patch": pack(np.full((16, 16, 4), grey, np.uint8)),
                        "view": pack(np.full((16, 16, 3), 90, np.uint8)),
                        "matrix": [1.0, 0, -2.0 * frame, 0, 1, 0],
                    }
                    for frame, face, track, shot, grey in part
                ]
                return manifest.publish(workspace, "s", "swapped", SWAPPED, patches)

            how = SmoothSettings(**{"strength": 1, "radius": 2, "tolerance": 1, **settings})
            ref = smooth_frames(
                workspace, 0, published(rows), None, [published(before)], [published(after)], AlignSettings(), how
            )
            return {
                (r["frame_index"], r["face_index"]): int(unpack(r["patch"])[8, 8, 0])
                for r in manifest.stream(workspace, ref, SMOOTHED)
            }

        return run

    def test_no_rows_give_no_rows(self, run):
        assert run([]) == {}
        assert run([], before=[(0, 0, 0, 0, 10)]) == {}

    def test_neighbours_of_the_same_track_are_averaged(self, run):
        out = run([(0, 0, 0, 0, 100), (1, 0, 0, 0, 110), (2, 0, 0, 0, 100)])
        assert 100 < out[1, 0] < 110
        assert 100 < out[0, 0] < 110

    def test_every_frame_is_the_middle_of_its_own_average(self, run):
        later = run([(0, 0, 0, 0, 100), (1, 0, 0, 0, 100), (2, 0, 0, 0, 160)], radius=1)
        assert later[0, 0] == 100
        assert 100 < later[1, 0] < 130 < later[2, 0] < 160
        earlier = run([(0, 0, 0, 0, 160), (1, 0, 0, 0, 100), (2, 0, 0, 0, 100)], radius=1)
        assert {(2 - f, face): grey for (f, face), grey in earlier.items()} == later

    @pytest.mark.parametrize("change", [{"track": 1}, {"shot": 1}])
    def test_another_track_or_shot_is_left_out(self, run, change):
        track, shot = change.get("track", 0), change.get("shot", 0)
        out = run([(0, 0, 0, 0, 100), (1, 0, track, shot, 120)])
        assert out == {(0, 0): 100, (1, 0): 120}

    def test_gap_in_the_track_ends_the_average(self, run):
        assert run([(0, 0, 0, 0, 100), (2, 0, 0, 0, 120)]) == {(0, 0): 100, (2, 0): 120}

    def test_two_faces_in_a_frame_stay_apart(self, run):
        rows = [(f, face, face, 0, 100 if face else 10) for f in range(4) for face in range(2)]
        assert run(rows) == {(f, face): (100 if face else 10) for f in range(4) for face in range(2)}

    def test_halo_counts_and_is_not_given_out(self, run):
        own = [(2, 0, 0, 0, 100), (3, 0, 0, 0, 100)]
        alone = run(own)
        with_halo = run(own, before=[(1, 0, 0, 0, 120)], after=[(4, 0, 0, 0, 120)])
        assert alone == {(2, 0): 100, (3, 0): 100}
        assert with_halo.keys() == alone.keys()
        assert min(with_halo.values()) > 100

    def test_frames_beyond_the_radius_do_not_count(self, run):
        own = [(i, 0, 0, 0, 100) for i in range(5, 8)]
        far = [(i, 0, 0, 0, 200) for i in range(0, 5)]
        near = [(i, 0, 0, 0, 200) for i in (3, 4)]
        assert run(own, before=far) == run(own, before=near)


class TestPaste:
    """States of a frame, on a grey frame of 64 x 48."""

    BARE = ("no_face", "nobody here")

    @pytest.fixture
    def frame(self):
        from av.video.frame import VideoFrame

        return VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), "rgb24").reformat(format="yuv420p")

    def row(self, x):
        patch = np.full((16, 16, 4), 255, np.uint8)
        place = {"frame_index": 0, "face_index": 0, "matrix": [1.0, 0, -x, 0, 1.0, -10], "motion": [0.0, 0.0]}
        return place | {"patch": pack(patch), "mask": pack(patch[..., 3]), "opacity": 1.0, "patch_colors": None}

    def test_patch_inside_is_swapped(self, frame):
        before = frame.to_ndarray(format="rgb24")
        assert paste_all(frame, [self.row(20)], False, BlendSettings(), self.BARE) == ("swapped", "")
        after = frame.to_ndarray(format="rgb24")
        assert after[18, 28].min() > 240
        np.testing.assert_array_equal(before[:, 40:], after[:, 40:])

    def test_patch_outside_passes_through_with_its_reason(self, frame):
        before = frame.to_ndarray().copy()
        state, reason = paste_all(frame, [self.row(500)], False, BlendSettings(), self.BARE)
        assert (state, bool(reason)) == ("passed_through", True)
        np.testing.assert_array_equal(frame.to_ndarray(), before)

    def test_no_patch_is_no_face(self, frame):
        assert paste_all(frame, [], False, BlendSettings(), self.BARE) == self.BARE

    def test_damaged_frame_is_never_touched(self, frame):
        before = frame.to_ndarray().copy()
        state, reason = paste_all(frame, [self.row(20)], True, BlendSettings(), self.BARE)
        assert state == "passed_through"
        assert "damaged" in reason
        np.testing.assert_array_equal(frame.to_ndarray(), before)


class TestColoursLaidIn:
    def facts(self, a, b):
        from types import SimpleNamespace

        from faceswap_core.faces.color import ColorMap
        from faceswap_core.stages.weights import ColorFacts

        colors = tuple(ColorFacts(np.full(3, m), ColorMap(np.full(3, k), np.full(3, t))) for m, k, t in (a, b))
        return lambda *way: WeightsFacts.to_plate(SimpleNamespace(colors=colors), *way)

    def test_either_way_the_contrast_is_that_of_whom_is_drawn_and_the_mean_the_plates(self):
        to_plate = self.facts((200.0, 0.5, 10.0), (110.0, 1.0, 0.0))  # a's 200 is b's 110, a's spread twice as wide
        ahead, back = to_plate(0, 1), to_plate(1, 0)
        np.testing.assert_allclose((ahead.scale, ahead.scale * 110 + ahead.shift), ((1,) * 3, (200,) * 3))
        np.testing.assert_allclose((back.scale, back.scale * 110 + back.shift), ((2,) * 3, (110,) * 3))

    def test_without_normalisation_colours_stay(self):
        to_plate = self.facts((200.0, 1.0, 0.0), (110.0, 1.0, 0.0))
        for way in ((0, 1), (1, 0)):
            np.testing.assert_allclose((to_plate(*way).scale, to_plate(*way).shift), ((1,) * 3, (0,) * 3))
