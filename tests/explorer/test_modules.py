"""The modules of the explorer's page, each by itself in a real browser, against numpy, scipy and torch."""

import gzip
import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy import stats

from aevb.explorer import page as pages
from tests.explorer.browser import Opened, chromium


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Runs JavaScript that may import the modules, and gives back what it returns."""
    path = tmp_path_factory.mktemp("modules") / "modules.html"
    imports = json.dumps({"imports": dict(pages._modules())})
    style = (pages.HERE / "web" / "style.css").read_text(encoding="utf-8")
    path.write_text(f'<!doctype html><style>{style}</style><script type="importmap">{imports}</script><main></main>')
    with chromium() as browser:
        opened = Opened(browser, path)

        def evaluate(module: str, names: str, code: str, argument: Any = None) -> Any:
            source = f'async (given) => {{ const {{ {names} }} = await import("aevb/{module}"); {code} }}'
            return opened.page.evaluate(source, argument)

        yield evaluate
        assert not opened.requests
        opened.close()


def test_every_module_can_be_imported_by_itself(run: Any) -> None:
    for path in sorted((pages.HERE / "web").glob("*.js")):
        assert run(path.stem, "", "return true")


# content


def test_files_come_out_as_they_went_in(run: Any) -> None:
    content = bytes(range(256)) * 50
    text = b64encode(gzip.compress(content)).decode()
    found = run("content", "fromBase64, inflated", "return [...await inflated(fromBase64(given))]", text)
    assert bytes(found) == content


@pytest.mark.parametrize("name", ["float32", "float64", "uint8"])
def test_an_array_is_what_the_facts_say(run: Any, name: str) -> None:
    values = np.array([1.5, 2.25, 1e-3]).astype(np.dtype(name).newbyteorder("<"))
    text = b64encode(gzip.compress(values.tobytes())).decode()
    code = """
        const element = document.createElement("script");
        [element.type, element.id, element.textContent] = ["text/plain", "file:a", given];
        document.body.append(element);
        return [...await array({ file: "a", type: "%s", shape: [3] })];
    """
    assert run("content", "array", code % name, text) == values.tolist()
    assert run("content", "array", "return await array(null)") is None


# linear


def test_moving_in_a_plane_changes_nothing_else(run: Any) -> None:
    rng = np.random.default_rng(0)
    z, basis = rng.normal(size=6), np.linalg.qr(rng.normal(size=(6, 2)))[0].T
    code = """
        const plane = given.basis.map((u) => Float32Array.from(u));
        const moved = movedTo(plane, Float32Array.from(given.z), [0.5, -2]);
        return { moved: [...moved], place: placeOf(plane, moved) };
    """
    found = run("linear", "movedTo, placeOf", code, {"z": z.tolist(), "basis": basis.tolist()})
    np.testing.assert_allclose(found["place"], [0.5, -2], atol=1e-5)
    rest = np.eye(6) - basis.T @ basis
    np.testing.assert_allclose(rest @ found["moved"], rest @ z, atol=1e-5)


def test_principal_components_are_those_of_numpy(run: Any) -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(200, 5)) @ np.diag([0.3, 3, 1, 0.5, 2]) @ rng.normal(size=(5, 5))
    code = """
        const { plane, shares } = principal(Float32Array.from(given), 5);
        return { plane: plane.map((u) => [...u]), shares };
    """
    found = run("linear", "principal", code, rows.ravel().tolist())
    values, vectors = np.linalg.eigh(np.cov(rows.T, bias=True))
    np.testing.assert_allclose(found["shares"], values[::-1][:2] / values.sum(), rtol=1e-4)
    cosines = np.abs(np.sum(np.array(found["plane"]) * vectors.T[::-1][:2], axis=1))
    np.testing.assert_allclose(cosines, 1, atol=1e-4)


def test_the_ellipse_of_a_covariance(run: Any) -> None:
    rng = np.random.default_rng(2)
    factor, plane = rng.normal(size=(3, 3)), np.linalg.qr(rng.normal(size=(3, 2)))[0].T
    whole = factor @ factor.T
    code = """
        const [plane, covariance] = [given.plane, given.covariance];
        const inside = covarianceIn(plane, null, covariance);
        return { inside, ...ellipse(inside) };
    """
    argument = {"plane": plane.tolist(), "covariance": whole.ravel().tolist()}
    found = run("linear", "covarianceIn, ellipse", code, argument)
    expected = plane @ whole @ plane.T
    np.testing.assert_allclose(found["inside"], [expected[0, 0], expected[0, 1], expected[1, 1]], rtol=1e-6)
    np.testing.assert_allclose(found["axes"], np.sqrt(np.linalg.eigvalsh(expected)[::-1]), rtol=1e-6)
    along = np.array([np.cos(found["angle"]), np.sin(found["angle"])])
    np.testing.assert_allclose(expected @ along, found["axes"][0] ** 2 * along, rtol=1e-5)


# statistics


def test_normal_numbers_are_normal_and_repeatable(run: Any) -> None:
    code = "return [normals(uniforms(3), 20001), normals(uniforms(3), 20001)].map((values) => [...values])"
    first, second = run("statistics", "normals, uniforms", code)
    assert first == second
    assert stats.kstest(first, "norm").pvalue > 0.01


def test_the_log_density_of_a_mixture(run: Any) -> None:
    means = np.array([[0.0, 0.0], [1.0, -0.5]])
    covariances = np.array([[[1.0, 0.3], [0.3, 0.5]], [[0.2, 0.0], [0.0, 0.4]]])
    across, up = np.linspace(-1, 1, 5), np.linspace(-1, 1, 4)
    argument = {
        "means": means.ravel().tolist(),
        "covariances": [[c[0, 0], c[0, 1], c[1, 1]] for c in covariances],
        "across": across.tolist(),
        "up": up.tolist(),
    }
    code = "return [...logMixture(given.means, given.covariances, given.across, given.up)]"
    found = run("statistics", "logMixture", code, argument)
    places = np.stack(np.meshgrid(across, up), -1)
    parts = [stats.multivariate_normal(m, c).pdf(places) for m, c in zip(means, covariances, strict=True)]
    np.testing.assert_allclose(found, np.log(np.mean(parts, axis=0)).ravel(), rtol=1e-9)


def test_the_rate_is_that_of_torch(run: Any) -> None:
    import torch
    from torch.distributions import Normal, kl_divergence

    mean, stddev = torch.tensor([0.5, -2.0, 0.0]), torch.tensor([0.1, 1.5, 1.0])
    expected = kl_divergence(Normal(mean, stddev), Normal(0.0, 1.0)).sum().item()
    found = run("statistics", "rate", "return rate(...given)", [mean.tolist(), stddev.tolist()])
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("mean", "total"), [(0.05, 2.0), (0.7, 0.5), (4.8, 3.0), (250.0, 20.0)])
def test_intervals_of_counts_hold_ninety_percent(run: Any, mean: float, total: float) -> None:
    law = stats.nbinom(total, total / (total + mean))
    found = run("statistics", "countInterval", "return countInterval(...given)", [mean, total])
    assert found == [law.ppf(0.05), law.ppf(0.95)]


@pytest.mark.parametrize(("mean", "total"), [(800.0, 1e4), (4500.0, 300.0), (3e5, 40.0), (1e6, 2.0)])
def test_intervals_of_large_counts_are_approximate(run: Any, mean: float, total: float) -> None:
    law = stats.nbinom(total, total / (total + mean))
    found = run("statistics", "countInterval", "return countInterval(...given)", [mean, total])
    assert found == pytest.approx([law.ppf(0.05), law.ppf(0.95)], rel=0.03)


def test_intervals_of_numbers_hold_ninety_percent(run: Any) -> None:
    code = "return [normalInterval(1, 2), logNormalInterval(5, 0.4)]"
    normal, log_normal = run("statistics", "normalInterval, logNormalInterval", code)
    np.testing.assert_allclose(normal, stats.norm(1, 2).ppf([0.05, 0.95]), rtol=1e-6)
    np.testing.assert_allclose(log_normal, stats.lognorm(0.4, scale=5 / np.exp(0.08)).ppf([0.05, 0.95]), rtol=1e-6)


def test_quantiles_of_a_normal(run: Any) -> None:
    shares = [1e-6, 1e-3, 0.02, 0.4, 0.5, 0.9, 0.999, 1 - 1e-6]
    found = run("statistics", "normalQuantile", "return given.map(normalQuantile)", shares)
    np.testing.assert_allclose(found, stats.norm.ppf(shares), rtol=1e-4)


@pytest.mark.parametrize(
    "spikes", [[], [[0, 0.02]], [[0, 0.1]], [[-5, 0.04], [0.5, 0.3], [9, 0.06]], [[0, 1.0]], [[1, 0.5], [2, 0.4995]]]
)
def test_quantiles_of_a_mixture_of_spikes_and_a_normal(run: Any, spikes: list[list[float]]) -> None:
    remaining = 1 - sum(chance for _, chance in spikes)
    code = "return given.shares.map((share) => mixtureQuantile(share, given.spikes, given.remaining, normalQuantile))"
    shares = [0.03, 0.05, 0.3, 0.5, 0.95, 0.99]
    argument = {"shares": shares, "spikes": spikes, "remaining": remaining}
    found = run("statistics", "mixtureQuantile, normalQuantile", code, argument)
    grid = np.linspace(-10, 10, 2_000_001)
    below = remaining * stats.norm.cdf(grid) + sum(chance * (grid >= value - 1e-9) for value, chance in spikes)
    np.testing.assert_allclose(found, grid[np.searchsorted(below, np.array(shares) - 1e-9)], atol=1e-4)


def test_means_variances_and_shares(run: Any) -> None:
    rows = np.random.default_rng(3).normal(size=(40, 3))
    code = (
        "return [[...variances(given, 3)], meanAndError(given), shareBelow([1, 2, 3, 4], 3), quantile([3, 1, 2], 0.5)]"
    )
    names = "variances, meanAndError, shareBelow, quantile"
    variances, (mean, error), share, middle = run("statistics", names, code, rows.ravel().tolist())
    np.testing.assert_allclose(variances, rows.var(0))
    assert mean == pytest.approx(rows.mean())
    assert error == pytest.approx(rows.std(ddof=1) / len(rows.ravel()) ** 0.5)
    assert (share, middle) == (0.5, 2)


def test_where_codes_are_missing_the_density_says_so(run: Any) -> None:
    """All codes on the left: a hole on the right, where the prior expects as many."""
    code = """
        const codes = [[-1, 0], [-1.2, 0.3], [-0.8, -0.2]];
        const model = {
            count: 3, facts: { prior: { kind: given } }, code: (n) => codes[n], covariance: () => [0.3, 0, 0.3],
        };
        const { across, up, ratio } = densityOf(model, [[1, 0], [0, 1]], [-3, 3, -3, 3]);
        const at = (a, b) => {
            const nearest = (line, value) => line.reduce((best, one, i) =>
                Math.abs(one - value) < Math.abs(line[best] - value) ? i : best, 0);
            return ratio[nearest(up, b) * across.length + nearest(across, a)];
        };
        return [at(-1, 0), at(1.5, 0)];
    """
    for prior in ("normal", "samples"):
        left, right = run("density", "densityOf", code, prior)
        assert left > 0.5
        assert right < (-1 if prior == "normal" else 0.5)


# colors and words


def test_classes_have_looks_of_their_own_as_long_as_they_can(run: Any) -> None:
    code = """
        const colors = Array.from({ length: 10 }, (_, i) => "#00000" + i);
        const looks = (count) => Array.from({ length: count }, (_, label) =>
            lookOf(label, Array(count).fill("a"), colors));
        return [new Set(looks(20).map(JSON.stringify)).size, new Set(looks(21).map(JSON.stringify)).size];
    """
    assert run("colors", "lookOf", code) == [20, 1]


def test_colors_between(run: Any) -> None:
    code = """
        const page = { paper: [0, 0, 0], less: [100, 0, 0], more: [0, 0, 100] };
        const sides = [diverging(-0.5, page), diverging(2, page)];
        return [parsed(" #0a10ff"), ...sides, css([1.4, 2, 3], 0.5), theme().paper.length];
    """
    found = run("colors", "parsed, diverging, css, theme", code)
    assert found == [[10, 16, 255], [50, 0, 0], [0, 0, 100], "rgb(1 2 3 / 0.5)", 3]


def test_numbers_in_words(run: Any) -> None:
    numbers = [[-1.234], [12.34], [123.4], [2008, True], [12345.6], [3, True], [2.5, True], [None]]
    code = "return given.map(([number, whole]) => short(number ?? NaN, whole))"
    assert run("words", "short", code, numbers) == ["−1.23", "12.3", "123", "2008", "12,346", "3", "2.50", "–"]
    code = "return given.map(([number, scale]) => short(number, false, scale))"
    numbers = [[0.031234], [-0.00312, 0.05], [-0.00012, 1], [0], [3.2e-12], [0.999]]
    assert run("words", "short", code, numbers) == ["0.0312", "−0.0031", "0.00", "0", "3.20e−12", "0.999"]
    assert run("words", "fixed", "return [fixed(-0.001, 2), fixed(-0.01, 2)]") == ["0.00", "−0.01"]
    code = "return [subscript(12), minus(-3), percent(0.123), percent(0.9999)]"
    assert run("words", "subscript, minus, percent", code) == ["z₁₂"[1:], "−3", "12 %", "100.0 %"]


def test_dates_are_written_as_dates(run: Any) -> None:
    day, minute = 86_400_000, 60_000
    columns = [
        [{"instant": {"unit": day, "from": 0, "to": 10}}, 18_000],
        [{"instant": {"unit": day, "from": 0, "to": 10}}, 17_999.6],
        [{"instant": {"unit": minute, "from": 0, "to": 16}}, 30_000_000.4],
        [{"instant": {"unit": minute, "from": 11, "to": 16}}, 75],
        [{"instant": {"unit": day, "from": 0, "to": 10}}, 1e12],
        [{"instant": None, "whole": True}, 2008],
    ]
    shown = run("words", "written", "return given.map(([column, value]) => written(column, value))", columns)
    assert shown == ["2019-04-14", "2019-04-14", "2027-01-15 08:00", "01:15", "1,000,000,000,000", "2008"]


def test_a_date_has_shorter_forms(run: Any) -> None:
    columns = [{"instant": {"unit": 60_000, "from": start, "to": 16}} for start in (0, 11)]
    found = run("words", "forms", "return given.map((column) => forms(column, 30_000_000))", columns)
    assert found == [["2027-01-15 08:00", "2027-01-15", "2027-01"], ["08:00"]]


def test_a_text_is_shortened_only_where_it_does_not_fit(run: Any) -> None:
    code = """
      const context = new OffscreenCanvas(1, 1).getContext("2d");
      const wide = context.measureText("Winterthur").width;
      return ["Winterthur", "Schaffhausen"].map((name) => fitted(context, name, wide));
    """
    whole, beginning = run("picture", "fitted", code)
    assert whole == "Winterthur"
    assert beginning.startswith("Schaff")
    assert beginning.endswith("…")


# scale and lattice


def test_the_screen_and_the_plane_agree(run: Any) -> None:
    code = """
        const scale = Scale.showing([-3, 3, -2, 2], 600, 600);
        const nearer = scale.zoomed(2, [100, 150]);
        return {
            unit: scale.unit, there: scale.toPlane(scale.toScreen([1.5, -1])),
            kept: [scale.toPlane([100, 150]), nearer.toPlane([100, 150])],
            panned: scale.panned(10, 20).toScreen(scale.toPlane([0, 0])), box: scale.box,
            ticks: ticks(-3, 3, 100), resized: scale.resized(300, 300).box,
        };
    """
    found = run("scale", "Scale, ticks", code)
    assert found["unit"] == 100
    np.testing.assert_allclose(found["there"], [1.5, -1])
    np.testing.assert_allclose(*found["kept"])
    np.testing.assert_allclose(found["panned"], [10, 20], atol=1e-9)
    np.testing.assert_allclose(found["box"], [-3, 3, -3, 3])
    np.testing.assert_allclose(found["resized"], found["box"])
    assert found["ticks"] == [-3, -2, -1, 0, 1, 2, 3]


def test_a_lattice_decodes_what_is_new_alone(run: Any) -> None:
    code = """
        const asked = [];
        const decode = async (points) => (asked.push(points.length / 2), points.map(String));
        const lattice = new Lattice(decode, () => null, () => 1);
        const settle = async () => { while (lattice.busy) await new Promise((resume) => setTimeout(resume, 5)); };
        const total = () => asked.reduce((sum, count) => sum + count, 0);
        lattice.want([-2, 2, -2, 2], 1); await settle();
        const first = total();
        lattice.want([-1, 3, -2, 2], 1); await settle();
        const second = total() - first;
        lattice.clear();
        lattice.want([0, 1, 0, 1], 0.5); await settle();
        return [first, second, total() - first - second, [...lattice.seen([0, 1, 0, 1])].length, Math.max(...asked)];
    """
    assert run("lattice", "Lattice", code) == [25, 5, 9, 9, 8]


def test_tiles_keep_about_their_width(run: Any) -> None:
    code = "return [10, 33, 100, 470].map((unit) => unit * spacing(unit, 30))"
    assert all(30 <= width < 60 for width in run("lattice", "spacing", code))


# picture and strokes


def test_ink_is_printed_on_paper_and_photographs_as_they_are(run: Any) -> None:
    code = """
        const colors = { paper: [250, 250, 250], ink: [10, 20, 30] };
        const ink = printed([0, 1], { shape: [1, 1, 2], shades: { low: 0, high: 1, ink: true } }, colors);
        const photo = printed([0.5, 1, 0], { shape: [3, 1, 1], shades: { low: 0, high: 1, ink: false } }, colors);
        return [[...ink], [...photo]];
    """
    ink, photo = run("picture", "printed", code)
    assert ink == [250, 250, 250, 255, 10, 20, 30, 255]
    assert photo == [128, 255, 0, 255]


def test_drawings_are_converted_to_model_input(run: Any) -> None:
    code = """
        const shades = { low: -1, high: 1 };
        const drawn = new Float32Array(100); drawn[34] = 1; drawn[35] = 1;
        const found = extent(drawn, 10, 10);
        return {
            gray: [...channels([255, 255, 255, 255, 255, 0, 0, 128], 1)], colors: [...channels([255, 0, 51, 255], 3)],
            inked: [...inked([1, 1, 0.9, 0])], dark: [...inked([0, 0, 0.9, 0])],
            binary: toValues([0.4, 0.6], shades, true), real: toValues([0, 0.75], shades, false),
            found, nothing: extent(new Float32Array(4), 2, 2), put: centered(found, 28, 28),
        };
    """
    found = run("strokes", "channels, inked, toValues, extent, centered", code)
    np.testing.assert_allclose(found["gray"], [1, 0.299 * 128 / 255], rtol=1e-5)
    np.testing.assert_allclose(found["colors"], [1, 0, 0.2], rtol=1e-6)
    np.testing.assert_allclose(found["inked"], [0, 0, 0.1, 1])
    assert found["dark"] == [0, 0, 0.9, 0]
    assert (found["binary"], found["real"]) == ([-1, 1], [-1, 0.5])
    assert found["found"] == {"box": [4, 3, 6, 4], "center": [5, 3.5]}
    assert found["nothing"] is None
    # The two pixels become 20 of 28 wide, and their center is in the middle.
    assert found["put"]["scale"] == pytest.approx(10)
    assert found["put"]["x"] + 10 * 5 == pytest.approx(14)
    assert found["put"]["y"] + 10 * 3.5 == pytest.approx(14)


# rows


def test_the_chances_of_columns_are_found_among_all(run: Any) -> None:
    columns = [
        {"kind": "real", "values": [], "spikes": []},
        {"kind": "integer", "values": [], "spikes": [40, 60]},
        {"kind": "binary", "values": ["no", "yes"], "spikes": []},
        {"kind": "nonnegative", "values": [], "spikes": [0]},
        {"kind": "discrete", "values": ["4", "6"], "spikes": []},
        {"kind": "categorical", "values": ["a", "b", "c"], "spikes": []},
    ]
    code = """
        const places = chancePlaces(given);
        const chances = Float32Array.from([0.75, 0.5, 0.5, 0, 0.25, 0.25, 0.5, 0.625, 0.5, 0.25]);
        const found = { mean: [7, 40, 1, 3, 0, 2], chances };
        const numbers = given.map((column, j) => apartFromSpikes(column, found.mean[j], found, places[j]));
        const listed = given.map((column, j) => column.values.length && chancesOf(column, j, found, places[j]));
        return [numbers, listed];
    """
    numbers, listed = run("row", "apartFromSpikes, chancePlaces, chancesOf", code, columns)
    assert numbers[0] == {"chances": [], "remaining": 1, "mean": 7}
    assert numbers[1] == {"chances": [0.5, 0.25], "remaining": 0.25, "mean": 20}  # 40 = 40 / 2 + 60 / 4 + 20 / 4
    assert numbers[3] == {"chances": [0.625], "remaining": 0.375, "mean": 8}
    assert listed == [0, 0, [0.25, 0.75], 0, [0.5, 0.5], [0.25, 0.25, 0.5]]


def test_a_curve_has_a_gap_where_a_value_is_missing(run: Any) -> None:
    facts = {
        "columns": [{"low": 0, "high": 1, "kind": "real", "bounds": [None, None]}] * 13,
        "order": [12, *range(12)],
        "colors": ["#0a10ff"],
    }
    code = """
        const canvas = document.querySelector("main").appendChild(document.createElement("canvas"));
        Object.assign(canvas.style, { display: "block", width: "400px", height: "200px" });
        const view = new CurveView(canvas, { facts, size: 13 });
        const mean = Float32Array.from({ length: 13 }, (_, j) => j / 13);
        view.show({ mean, stddev: mean });
        const lines = [];
        const context = { beginPath: () => lines.push([]), lineTo: (x) => lines.at(-1).push(x), stroke: () => {} };
        const gap = mean.map((value, j) => (j === 3 ? NaN : value));
        view.line({ context, x: (n) => n, y: (value) => value }, gap, "", 1);
        return [view.range, view.limits(12), lines];
    """
    expected = [[0, 1, 2, 3], [5, 6, 7, 8, 9, 10, 11, 12]]
    scale, limits, lines = run("curve", "CurveView", code.replace("{ facts,", "{ facts: given,"), facts)
    assert scale == pytest.approx([-0.15, 1.15])
    assert limits == pytest.approx([0, 24 / 13])
    assert lines == expected


def test_the_band_of_a_curve_includes_spikes(run: Any) -> None:
    """Of 12 columns, one has a spike at 4 with probability 0.97 and otherwise a normal around -2; one is mostly 0."""
    plain = {"low": 0, "high": 1, "kind": "real", "bounds": [None, None], "spikes": []}
    columns = [plain, plain | {"spikes": [4]}, *[plain] * 10, plain | {"kind": "nonnegative", "spikes": [0]}]
    facts = {"columns": columns, "order": list(range(13)), "table": True, "colors": ["#0a10ff"]}
    code = """
        const canvas = document.querySelector("main").appendChild(document.createElement("canvas"));
        const view = new CurveView(canvas, { facts: given, size: 13 });
        const mean = new Float32Array(13).fill(1);
        [mean[1], mean[12]] = [0.97 * 4 + 0.03 * -2, 0.1 * 5];
        view.show({ mean, spread: new Float32Array(13).fill(0.5), chances: Float32Array.of(0.9, 0.97) });
        return [0, 1, 12].map((j) => view.limits(j));
    """
    ordinary, spiked, zeros = run("curve", "CurveView", code, facts)
    law = stats.lognorm(0.5, scale=5 / np.exp(0.125))
    assert ordinary == pytest.approx(stats.norm(1, 0.5).ppf([0.05, 0.95]), abs=1e-4)
    assert spiked == [4, 4]
    assert zeros == pytest.approx([0, law.ppf(0.5)], rel=1e-4)


def test_the_interval_of_a_number_keeps_its_bounds(run: Any) -> None:
    column = {"kind": "bounded", "bounds": [0, None]}
    assert run("row", "interval", "return interval(given, 1, 2)", column) == pytest.approx([0, 1 + 1.645 * 2], abs=1e-2)


# net


def test_the_net_is_square(run: Any) -> None:
    found = np.array(run("net", "lines", "return lines()"))
    assert found.shape == (26, 61, 2)
    assert (found[:, 0] != found[:, -1]).sum(1).tolist() == [1] * 26
    assert found.min() == -3
    assert found.max() == 3


# pointer


def test_keys_do_what_hands_do(run: Any) -> None:
    code = """
        const done = [];
        const names = ["pan", "zoom", "nudge", "reset", "choose"];
        const does = Object.fromEntries(names.map((name) => [name, (...args) => done.push([name, ...args])]));
        const keys = [["ArrowLeft"], ["ArrowUp", true], ["+"], ["0"], ["Enter"], ["a"]];
        const known = keys.map(([key, shiftKey = false]) => keyed({ key, shiftKey }, does));
        return [known, done, keyed({ key: "+", ctrlKey: true }, does)];
    """
    known, done, with_control = run("pointer", "keyed", code)
    assert known == [True] * 5 + [False]
    assert done == [["nudge", -1, 0], ["pan", 0, 24], ["zoom", 1.25], ["reset"], ["choose"]]
    assert with_control is False


def test_a_click_of_an_unsteady_hand_is_no_drag(run: Any) -> None:
    code = """
        const element = document.createElement("div");
        element.setPointerCapture = () => null;
        document.body.append(element);
        const done = [];
        const names = ["press", "move", "hover", "leave", "click", "pan"];
        listen(element, Object.fromEntries(names.map((name) => [name, () => done.push(name)])));
        const event = (type, x) => new PointerEvent(type, { pointerId: 1, clientX: x });
        const send = (type, x) => element.dispatchEvent(event(type, x));
        for (const path of given) {
            send("pointerdown", 0);
            for (const x of path) send("pointermove", x);
            send("pointerup", path.at(-1));
        }
        return done;
    """
    assert run("pointer", "listen", code, [[1, 0], [3, 6, 9]]) == ["press", "click", "press", "move", "move"]


def test_a_plane_that_was_hidden_can_be_shown(run: Any) -> None:
    code = """
        const element = { clientWidth: 0, clientHeight: 0 };
        const plane = new Plane(element, element, {});
        plane.show([-4, 4, -4, 4]);
        Object.assign(element, { clientWidth: 400, clientHeight: 400 });
        plane.resize();
        const shown = plane.scale.box;
        Object.assign(element, { clientWidth: 800, clientHeight: 800 });
        plane.resize();
        return [shown, plane.scale.unit];
    """
    assert run("plane", "Plane", code) == [[-4, 4, -4, 4], 100]


def test_two_runs_follow_each_other(run: Any) -> None:
    code = """
        const done = [];
        const other = { choose: (n) => done.push(["choose", n]), goToPlace: (place) => done.push(["place", place]) };
        const one = { chosen: null, nearestExample: 4, stage: { place: [1, 2] } };
        for (const how of ["example", "place", "none"]) follow(one, other, how);
        follow({ ...one, chosen: 7 }, other, "example");
        return done;
    """
    assert run("link", "follow", code) == [["choose", 4], ["place", [1, 2]], ["choose", 7]]


def test_a_network_does_one_thing_after_another(run: Any) -> None:
    code = """
        let [running, most] = [0, 0];
        const session = { run: async (feeds) => {
            most = Math.max(most, ++running);
            await new Promise((resume) => setTimeout(resume, 5));
            running -= 1;
            if (feeds.z.data[0] < 0) throw new Error("no");
            return { mean: { data: feeds.z.data.map((value) => 2 * value) } };
        } };
        class Tensor { constructor(type, data, dims) { Object.assign(this, { type, data, dims }); } }
        const network = new Network({ Tensor }, session);
        const ask = (value) => network.run({ z: [[value], [1, 1]] }).then(({ mean }) => mean[0], () => "failed");
        const asked = [1, -1, 3].map(ask);
        return [await Promise.all(asked), most, network.times.length];
    """
    assert run("engine", "Network", code) == [[2, "failed", 6], 1, 2]
