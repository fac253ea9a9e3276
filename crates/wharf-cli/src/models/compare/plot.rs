//! The pictures: a figure over the number of connections, a line for each model.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use plotters::prelude::*;

use super::report::{Cell, Report};
use crate::failure::{Exit, Failure};

/// Pixels.
const SIZE: (u32, u32) = (960, 540);
/// Where the picture ends, as places are counted.
const RIGHT: i32 = 960;
/// What the names of the models take, right of the chart.
const LEGEND_WIDTH: u32 = 200;
const INK: RGBColor = RGBColor(0x1F, 0x23, 0x28);
const GRID: RGBColor = RGBColor(0xE1, 0xE5, 0xEA);

/// Colours that people tell apart who do not see all of them (Okabe and Ito), then darker ones.
const COLOURS: [RGBColor; 12] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x8A, 0x7F, 0x00),
    RGBColor(0x00, 0x00, 0x00),
    RGBColor(0x7A, 0x3E, 0x9D),
    RGBColor(0x4D, 0x4D, 0x4D),
    RGBColor(0x80, 0x2B, 0x00),
    RGBColor(0x00, 0x4D, 0x40),
];

/// What a picture shows: its file, its caption and its figure.
type Figure = (&'static str, &'static str, fn(&Cell) -> Option<f64>);
const FIGURES: [Figure; 3] = [
    ("throughput.svg", "Messages per second", |cell| cell.per_second),
    ("cpu.svg", "CPU time of the server per message, in ns", |cell| cell.cpu_ns_per_message),
    ("latency.svg", "Latency, 99th percentile, in us", |cell| cell.p99_us),
];

/// The files of the pictures, opened before the run so that a wrong path does not cost the result.
#[derive(Debug)]
pub(super) struct Plots(Vec<(File, String, Figure)>);

impl Plots {
    pub(super) fn open(folder: Option<&Path>) -> Result<Self, Failure> {
        let Some(folder) = folder else { return Ok(Self(Vec::new())) };
        let open = |figure: Figure| {
            let path = folder.join(figure.0);
            let name = path.display().to_string();
            let file = fs::create_dir_all(folder).and_then(|()| File::create(&path));
            let file = file.map_err(|error| {
                Failure::arguments(format_args!(
                    "cannot write --plot {name}: {error}; give a folder that can be written to"
                ))
            })?;
            Ok((file, name, figure))
        };
        FIGURES.into_iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn write(self, report: &Report) -> Result<(), Failure> {
        for (mut file, name, (_, caption, figure)) in self.0 {
            let broken = |why: String| {
                Failure::new(Exit::Failed, format_args!("cannot write --plot {name}: {why}"))
            };
            let svg = svg(report, caption, figure).map_err(broken)?;
            file.write_all(svg.as_bytes()).map_err(|error| broken(error.to_string()))?;
        }
        Ok(())
    }
}

fn svg(report: &Report, caption: &str, figure: fn(&Cell) -> Option<f64>) -> Result<String, String> {
    let lines: Vec<(&str, Vec<(f64, f64)>)> = report
        .models
        .iter()
        .map(|row| (row.model, row.cells.iter().filter_map(|cell| point(cell, figure)).collect()))
        .collect();
    let points = || lines.iter().flat_map(|(_, points)| points);
    let least = points().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let most = points().map(|point| point.1).fold(0.0, f64::max);
    let (from, to) = (least * 0.8, most * 1.25);
    let connections = report.connections.iter().map(|&count| count as f64).collect();
    let across = report.connections.last().copied().unwrap_or(1) as f64;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(said)?;
        if least > most {
            let text = ("sans-serif", 17).into_font().color(&INK);
            area.draw_text("nothing was measured", &text, (24, 24)).map_err(said)?;
            area.present().map_err(said)?;
            drop(area);
            return Ok(svg);
        }
        let mut chart = ChartBuilder::on(&area)
            .caption(caption, ("sans-serif", 20).into_font().color(&INK))
            .margin(16)
            .margin_right(LEGEND_WIDTH)
            .x_label_area_size(44)
            .y_label_area_size(84)
            .build_cartesian_2d(
                (0.9..across * 1.1).log_scale().with_key_points(connections),
                (from..to).log_scale().with_key_points(marks(from, to)),
            )
            .map_err(said)?;
        chart
            .configure_mesh()
            .x_desc("connections")
            .x_label_formatter(&|connections| amount(*connections))
            .y_label_formatter(&|value| amount(*value))
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .label_style(small())
            .draw()
            .map_err(said)?;
        let mut top = 56;
        for ((name, points), colour) in lines.into_iter().zip(COLOURS.into_iter().cycle()) {
            let dots = points.iter().map(|point| Circle::new(*point, 3, colour.filled()));
            chart.draw_series(dots).map_err(said)?;
            chart.draw_series(LineSeries::new(points, colour.stroke_width(2))).map_err(said)?;
            let left = RIGHT - i32::try_from(LEGEND_WIDTH).unwrap_or(0) + 16;
            let patch = Rectangle::new([(left, top), (left + 12, top + 12)], colour.filled());
            area.draw(&patch).map_err(said)?;
            area.draw_text(name, &small(), (left + 20, top)).map_err(said)?;
            top += 22;
        }
        area.present().map_err(said)?;
    }
    Ok(svg)
}

fn point(cell: &Cell, figure: fn(&Cell) -> Option<f64>) -> Option<(f64, f64)> {
    Some((cell.connections as f64, figure(cell).filter(|value| *value > 0.0)?))
}

fn small() -> TextStyle<'static> {
    ("sans-serif", 14).into_font().color(&INK)
}

/// Where the vertical axis has its lines: those of 1, 2, 5, 10 and so on that lie within.
fn marks(from: f64, to: f64) -> Vec<f64> {
    let decades = (0..12).map(|decade| 10f64.powi(decade));
    let marks = decades.flat_map(|decade| [decade, 2.0 * decade, 5.0 * decade]);
    marks.filter(|mark| (from..to).contains(mark)).collect()
}

/// A count: `64`, `10 k`, `2 M`.
fn amount(count: f64) -> String {
    match count {
        count if count < 1_000.0 => format!("{count}"),
        count if count < 1_000_000.0 => format!("{} k", count / 1_000.0),
        count => format!("{} M", count / 1_000_000.0),
    }
}

fn said(error: impl Display) -> String {
    error.to_string()
}
