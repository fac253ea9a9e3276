//! Latency by percentile above, throughput over time below.
//!
//! The colours are those of paper; a style sheet at the head of the picture has them changed where people
//! have asked for dark pages.

use std::fmt::Display;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::prelude::*;
use plotters::style::RelativeSize;
use wharf_port::Address;

use super::date::date;
use crate::clock;
use crate::load::latency::LatencyMicros;
use crate::load::report::Micros;

/// Pixels.
const SIZE: (u32, u32) = (960, 920);
const TITLE_HEIGHT: u32 = 96;
/// Points of the curve of latencies.
const POINTS: u32 = 400;

const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
const INK: RGBColor = RGBColor(0x1F, 0x23, 0x28);
const FAINT_INK: RGBColor = RGBColor(0x59, 0x63, 0x6E);
const GRID: RGBColor = RGBColor(0xE1, 0xE5, 0xEA);
const AXIS: RGBColor = RGBColor(0x8C, 0x95, 0x9F);
const LATENCY: RGBColor = RGBColor(0x09, 0x69, 0xDA);
const THROUGHPUT: RGBColor = RGBColor(0x1A, 0x7F, 0x37);

/// The same for dark pages. The names of colours are as the backend writes them.
const DARK: &str = "<style>@media (prefers-color-scheme: dark){\
[fill='#FFFFFF']{fill:#0D1117}[fill='#1F2328']{fill:#E6EDF3}[fill='#59636E']{fill:#9198A1}\
[stroke='#E1E5EA']{stroke:#262C36}[stroke='#8C959F']{stroke:#656C76}\
[stroke='#0969DA']{stroke:#58A6FF}[fill='#0969DA']{fill:#58A6FF}\
[stroke='#1A7F37']{stroke:#3FB950}[fill='#1A7F37']{fill:#3FB950}}</style>";

/// What a picture shows.
#[derive(Debug)]
pub(in crate::load) struct Plot<'a> {
    /// Such as `wharf load echo`.
    pub(in crate::load) title: String,
    /// What was run, and what came of it.
    pub(in crate::load) subtitle: String,
    /// The server's.
    pub(in crate::load) address: &'a Address,
    /// What is counted, such as `messages`.
    pub(in crate::load) unit: &'a str,
    pub(in crate::load) latency: &'a super::super::latency::Latency,
    pub(in crate::load) series: &'a super::super::series::Series,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

impl Plot<'_> {
    /// The picture as SVG.
    ///
    /// # Errors
    /// What the library says.
    pub(super) fn svg(&self) -> Result<String, String> {
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            self.draw(&area).map_err(said)?;
            area.present().map_err(said)?;
        }
        // Behind the first tag, and into it, for who does not see the picture.
        let Self { title, subtitle, .. } = self;
        let title = escaped(&format!("{title}: {subtitle}; {}", self.quantiles()));
        if let Some(at) = svg.find("<rect") {
            svg.insert_str(at, &format!("<title>{title}</title>{DARK}"));
        }
        Ok(svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{title}\" "), 1))
    }

    fn draw(&self, area: &Area<'_>) -> Result<(), String> {
        area.fill(&PAPER).map_err(said)?;
        area.draw_text(&self.title, &text(24, &INK), (24, 14)).map_err(said)?;
        let where_and_when = format!(
            "{}; {}, wharf {}, {}",
            self.quantiles(),
            self.address,
            env!("CARGO_PKG_VERSION"),
            date(clock::wall())
        );
        for (line, y) in [(&self.subtitle, 46), (&where_and_when, 68)] {
            area.draw_text(&with_micros(line), &small(&FAINT_INK), (24, y)).map_err(said)?;
        }
        let (_, charts) = area.split_vertically(TITLE_HEIGHT);
        let (above, below) = charts.split_vertically(RelativeSize::Height(0.52));
        self.draw_latency(&above)?;
        self.draw_throughput(&below)
    }

    /// What is asked for most, in numbers.
    fn quantiles(&self) -> String {
        match self.latency.micros() {
            LatencyMicros { p50: Some(p50), p99: Some(p99), max: Some(max), .. } => {
                let [p50, p99, max] = [p50, p99, max].map(Micros);
                with_micros(&format!("latency p50 {p50}, p99 {p99}, max {max}"))
            }
            _ => "no latency".to_owned(),
        }
    }

    fn draw_latency(&self, area: &Area<'_>) -> Result<(), String> {
        let curve = self.latency.by_nines(POINTS);
        let caption = format!("Latency by percentile of {}", self.unit);
        let Some((nines, _)) = curve.last().copied() else {
            return draw_nothing(area, &caption, "no latency was measured");
        };
        let least = curve.first().map_or(1.0, |point| point.1);
        let most = curve.last().map_or(1.0, |point| point.1);
        let across = nines.max(2.0);
        let (from, to) = (round_below(least), round_above(most));
        let mut chart = builder(area, &caption)
            .build_cartesian_2d(
                Nines(across),
                (from..to).log_scale().with_key_points(marks(from, to)),
            )
            .map_err(said)?;
        mesh(&mut chart.configure_mesh())
            .x_desc("percentile")
            .y_desc("latency")
            .x_label_formatter(&|nines| percentile(*nines))
            .y_label_formatter(&|micros| time(*micros))
            .draw()
            .map_err(said)?;
        let bottom = curve.iter().copied();
        chart.draw_series(AreaSeries::new(bottom, from, LATENCY.mix(0.12))).map_err(said)?;
        chart.draw_series(LineSeries::new(curve, LATENCY.stroke_width(2))).map_err(said)?;
        Ok(())
    }

    fn draw_throughput(&self, area: &Area<'_>) -> Result<(), String> {
        let caption = format!("Throughput over time in {} per second", self.unit);
        let rates = self.series.rates();
        let Some((end, _)) = rates.last().copied() else {
            return draw_nothing(area, &caption, "nothing was measured");
        };
        let most = rates.iter().map(|point| point.1).fold(1.0, f64::max) * 1.08;
        let mut chart = builder(area, &caption)
            .build_cartesian_2d(0.0..end.max(1e-3), 0.0..most)
            .map_err(said)?;
        mesh(&mut chart.configure_mesh())
            .x_desc("time")
            .y_desc(format!("{} per second", self.unit))
            .x_labels(11)
            .y_labels(7)
            .x_label_formatter(&|seconds| format!("{} s", decimal(*seconds)))
            .y_label_formatter(&|rate| amount(*rate))
            .draw()
            .map_err(said)?;
        // Between two marks the rate is one: steps, not slopes that nobody measured.
        let steps: Vec<_> =
            rates.windows(2).flat_map(|pair| [pair[0], (pair[1].0, pair[0].1)]).collect();
        let bottom = steps.iter().copied();
        chart.draw_series(AreaSeries::new(bottom, 0.0, THROUGHPUT.mix(0.12))).map_err(said)?;
        chart.draw_series(LineSeries::new(steps, THROUGHPUT.stroke_width(2))).map_err(said)?;
        Ok(())
    }
}

fn said(error: impl Display) -> String {
    error.to_string()
}

/// A style of text, of so many pixels. What the library calls a size the backend divides by 1.24.
fn text(pixels: u32, colour: &RGBColor) -> TextStyle<'_> {
    ("sans-serif", f64::from(pixels) * 1.24).into_font().color(colour)
}

fn small(colour: &RGBColor) -> TextStyle<'_> {
    text(14, colour)
}

/// Times as a picture has them: in a terminal µ may be missing.
fn with_micros(text: &str) -> String {
    text.replace(" us", " µs")
}

/// A text as an attribute or an element may have it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// A chart with room for its labels.
fn builder<'a, 'b>(area: &'a Area<'b>, caption: &str) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut builder = ChartBuilder::on(area);
    builder
        .caption(caption, text(17, &INK))
        .margin_left(12)
        .margin_right(36)
        .margin_bottom(14)
        .x_label_area_size(52)
        .y_label_area_size(96);
    builder
}

/// The lines that all charts have.
fn mesh<'a, 'b, 'c, 'd, X, Y>(
    mesh: &'c mut plotters::chart::MeshStyle<'a, 'b, X, Y, SVGBackend<'d>>,
) -> &'c mut plotters::chart::MeshStyle<'a, 'b, X, Y, SVGBackend<'d>>
where
    X: Ranged<ValueType = f64> + plotters::coord::ranged1d::ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + plotters::coord::ranged1d::ValueFormatter<f64>,
{
    mesh.bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(AXIS)
        .label_style(small(&FAINT_INK))
        .axis_desc_style(small(&FAINT_INK))
}

fn draw_nothing(area: &Area<'_>, caption: &str, why: &str) -> Result<(), String> {
    area.draw_text(caption, &text(17, &INK), (24, 12)).map_err(said)?;
    area.draw_text(why, &small(&FAINT_INK), (24, 48)).map_err(said)
}

/// Where the axis of latencies has its lines: at 1, 2, 5, 10 and so on; over many decades, at these alone.
fn marks(from: f64, to: f64) -> Vec<f64> {
    let all = std::iter::successors(Some(from), |mark| Some(round_above(mark * 1.01)));
    let is_decade = |mark: &f64| (mark.log10() - mark.log10().round()).abs() < 0.01;
    let many = to / from > 2e4;
    all.take_while(|mark| *mark <= to * 1.01).filter(|mark| !many || is_decade(mark)).collect()
}

/// The next lower of 1, 2, 5, 10, 20, 50 and so on.
fn round_below(value: f64) -> f64 {
    let decade = 10f64.powf(value.max(1e-3).log10().floor());
    [5.0, 2.0].into_iter().map(|step| step * decade).find(|&it| it <= value).unwrap_or(decade)
}

/// The next higher of them.
fn round_above(value: f64) -> f64 {
    let decade = 10f64.powf(value.max(1e-3).log10().floor());
    [2.0, 5.0].into_iter().map(|step| step * decade).find(|&it| it > value).unwrap_or(decade * 10.0)
}

/// The axis of percentiles, up to so many nines, with its lines at the median and at whole nines.
struct Nines(f64);

impl Ranged for Nines {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, nines: &f64, (from, to): (i32, i32)) -> i32 {
        #[expect(clippy::cast_possible_truncation, reason = "a pixel between two others")]
        let along = (nines / self.0 * f64::from(to - from)).round() as i32;
        from + along
    }

    fn key_points<H: KeyPointHint>(&self, _: H) -> Vec<f64> {
        let whole = std::iter::successors(Some(1.0), |nines| Some(nines + 1.0));
        let whole = whole.take_while(|nines| *nines <= self.0);
        [0.0, 2f64.log10()].into_iter().chain(whole).collect()
    }

    fn range(&self) -> Range<f64> {
        0.0..self.0
    }
}

/// `0 %`, `50 %`, `90 %`, `99.9 %`.
fn percentile(nines: f64) -> String {
    match nines.round() {
        0.0 => format!("{:.0} %", 100.0 - 100.0 * 10f64.powf(-nines)),
        nines => {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
            let digits = (nines as usize).saturating_sub(2);
            format!("{:.digits$} %", 100.0 - 100.0 * 10f64.powf(-nines))
        }
    }
}

/// Microseconds in the unit that suits them.
fn time(micros: f64) -> String {
    match micros {
        micros if micros < 1_000.0 => format!("{} µs", decimal(micros)),
        micros if micros < 1_000_000.0 => format!("{} ms", decimal(micros / 1_000.0)),
        micros => format!("{} s", decimal(micros / 1_000_000.0)),
    }
}

/// A count: `950`, `25 k`, `1.5 M`.
fn amount(count: f64) -> String {
    match count {
        count if count < 1_000.0 => decimal(count),
        count if count < 1_000_000.0 => format!("{} k", decimal(count / 1_000.0)),
        count => format!("{} M", decimal(count / 1_000_000.0)),
    }
}

/// A number with as many of three decimals as it needs.
fn decimal(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_as_people_write_them() {
        assert_eq!(
            [0.0, 2f64.log10(), 1.0, 2.0, 3.0, 5.0].map(percentile),
            ["0 %", "50 %", "90 %", "99 %", "99.9 %", "99.999 %"]
        );
        assert_eq!([0.5, 20.0, 2_500.0, 3e6].map(time), ["0.5 µs", "20 µs", "2.5 ms", "3 s"]);
        assert_eq!([0.0, 950.0, 25_000.0, 1.5e6].map(amount), ["0", "950", "25 k", "1.5 M"]);
        assert_eq!([1.0, 3.0, 49.0, 720.0].map(round_below), [1.0, 2.0, 20.0, 500.0]);
        assert_eq!([1.0, 3.0, 50.0, 720.0].map(round_above), [2.0, 5.0, 100.0, 1_000.0]);
        let rounded =
            |from, to| marks(from, to).iter().map(|mark| mark.round()).collect::<Vec<_>>();
        assert_eq!(rounded(2.0, 50.0), [2.0, 5.0, 10.0, 20.0, 50.0]);
        assert_eq!(rounded(5.0, 1e6), [10.0, 100.0, 1e3, 1e4, 1e5, 1e6]);
    }
}
