//! Bars with names, from top to bottom, over one axis.
//!
//! The colours are those of paper; a style sheet at the head of the picture has those of text and lines
//! changed where people have asked for dark pages. The bars' colours can be told on both.

use std::fmt::Display;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::contender;

const WIDTH: u32 = 960;
const TITLE_HEIGHT: u32 = 76;
const AXIS_HEIGHT: u32 = 64;
const ROW_HEIGHT: u32 = 22;
/// Rows that a block takes beside those of its bars: its title, and air.
const BLOCK_ROWS: usize = 2;
const NAMES_WIDTH: u32 = 160;
/// Where the figures stand, right of the longest bar.
const FIGURES_WIDTH: u32 = 84;

const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
const INK: RGBColor = RGBColor(0x1F, 0x23, 0x28);
const FAINT_INK: RGBColor = RGBColor(0x59, 0x63, 0x6E);
const GRID: RGBColor = RGBColor(0xE1, 0xE5, 0xEA);
const AXIS: RGBColor = RGBColor(0x8C, 0x95, 0x9F);

/// The same for dark pages. The names of colours are as the backend writes them.
const DARK: &str = "<style>@media (prefers-color-scheme: dark){\
[fill='#FFFFFF']{fill:#0D1117}[fill='#1F2328']{fill:#E6EDF3}[fill='#59636E']{fill:#9198A1}\
[stroke='#1F2328']{stroke:#E6EDF3}[stroke='#E1E5EA']{stroke:#262C36}[stroke='#8C959F']{stroke:#656C76}}</style>";

/// Colours of servers by their place among those with names: the anchor's are grey, ours are blue, each
/// foundation has its own.
const COLOURS: [RGBColor; contender::NAMED] = [
    RGBColor(0x6E, 0x77, 0x81),
    RGBColor(0x8C, 0x90, 0x94),
    RGBColor(0x9A, 0x9E, 0xA3),
    RGBColor(0x1B, 0x9E, 0x77),
    RGBColor(0xD9, 0x5F, 0x02),
    RGBColor(0x8E, 0x6B, 0xBF),
    RGBColor(0xA8, 0x8C, 0xD1),
    RGBColor(0xC2, 0x3B, 0x84),
    RGBColor(0x5F, 0x9E, 0x1E),
    RGBColor(0xBF, 0x8F, 0x00),
    RGBColor(0xA6, 0x76, 0x1D),
    RGBColor(0xB4, 0x45, 0x3C),
    RGBColor(0xD4, 0xA7, 0x2C),
    RGBColor(0xD0, 0x6A, 0x62),
    RGBColor(0x1F, 0x6F, 0xEB),
    RGBColor(0x3F, 0x9B, 0xD9),
    RGBColor(0x4A, 0x5F, 0xD6),
    RGBColor(0x5A, 0xA9, 0xC9),
    RGBColor(0x62, 0x70, 0xE0),
    RGBColor(0x74, 0xB7, 0xCF),
    RGBColor(0x2B, 0x4C, 0x9B),
];
const OTHER: RGBColor = RGBColor(0x7D, 0x85, 0x90);

/// A server's figure.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    pub(super) server: String,
    pub(super) value: f64,
    /// The 90 % interval of it.
    pub(super) interval: (f64, f64),
}

/// The bars of a case.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) title: String,
    pub(super) bars: Vec<Bar>,
}

/// What a picture shows.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    pub(super) title: String,
    pub(super) subtitle: String,
    /// What the axis is of, with its unit.
    pub(super) axis: String,
    pub(super) blocks: Vec<Block>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

impl Picture {
    /// The picture as SVG.
    ///
    /// # Errors
    /// What the library says.
    pub(super) fn svg(&self) -> Result<String, String> {
        let rows: usize = self.blocks.iter().map(|block| block.bars.len() + BLOCK_ROWS).sum();
        let rows = u32::try_from(rows).map_err(said)?;
        let size = (WIDTH, TITLE_HEIGHT + rows * ROW_HEIGHT + AXIS_HEIGHT);
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            self.draw(&area, rows)?;
            area.present().map_err(said)?;
        }
        // Behind the first tag.
        if let Some(at) = svg.find("<rect") {
            svg.insert_str(at, DARK);
        }
        Ok(svg)
    }

    fn draw(&self, area: &Area<'_>, rows: u32) -> Result<(), String> {
        area.fill(&PAPER).map_err(said)?;
        let title = ("sans-serif", 22).into_font().color(&INK);
        area.draw_text(&self.title, &title, (24, 16)).map_err(said)?;
        area.draw_text(&self.subtitle, &small(&FAINT_INK), (24, 48)).map_err(said)?;
        let (_, below) = area.split_vertically(TITLE_HEIGHT);
        let bars = self.blocks.iter().flat_map(|block| &block.bars);
        let most = bars.map(|bar| bar.interval.1.max(bar.value)).fold(f64::MIN_POSITIVE, f64::max);
        // The rest of the axis is room for the figures.
        let plot_width = WIDTH - NAMES_WIDTH - FIGURES_WIDTH;
        let to = most * f64::from(WIDTH - NAMES_WIDTH) / f64::from(plot_width);
        let mut chart = ChartBuilder::on(&below)
            .x_label_area_size(AXIS_HEIGHT)
            .set_label_area_size(LabelAreaPosition::Left, NAMES_WIDTH)
            .build_cartesian_2d(0.0..to, f64::from(rows)..0.0)
            .map_err(said)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(AXIS)
            .label_style(small(&FAINT_INK))
            .axis_desc_style(small(&INK))
            .x_desc(&self.axis)
            .x_label_formatter(&|value| figure(*value))
            .draw()
            .map_err(said)?;
        // Where a value lies, in pixels of what is below the title.
        let place = |value: f64, row: f64| chart.backend_coord(&(value, row));
        let shift = i32::try_from(TITLE_HEIGHT).map_err(said)?;
        let mut row = 0.0;
        for block in &self.blocks {
            let (left, top) = place(0.0, row + 0.45);
            let at = (left - 148, top - shift);
            below.draw_text(&block.title, &bold(), at).map_err(said)?;
            row += 1.4;
            for bar in &block.bars {
                draw_bar(&below, bar, row, |value, row| {
                    let (x, y) = place(value, row);
                    (x, y - shift)
                })?;
                row += 1.0;
            }
            row += 0.6;
        }
        Ok(())
    }
}

fn draw_bar(
    area: &Area<'_>,
    bar: &Bar,
    row: f64,
    place: impl Fn(f64, f64) -> (i32, i32),
) -> Result<(), String> {
    let colour = contender::place(&bar.server).and_then(|place| COLOURS.get(place));
    let (from, to) = (place(0.0, row + 0.12), place(bar.value, row + 0.88));
    let filled = colour.unwrap_or(&OTHER).filled();
    area.draw(&Rectangle::new([from, to], filled)).map_err(said)?;
    let line = [place(bar.interval.0, row + 0.5), place(bar.interval.1, row + 0.5)];
    area.draw(&PathElement::new(line, INK.stroke_width(1))).map_err(said)?;
    let height = from.1 + 3;
    area.draw_text(&bar.server, &small(&INK), (from.0 - 132, height)).map_err(said)?;
    area.draw_text(&figure(bar.value), &small(&INK), (line[1].0.max(to.0) + 8, height))
        .map_err(said)
}

fn said(error: impl Display) -> String {
    error.to_string()
}

fn small<'a>(colour: &'a RGBColor) -> TextStyle<'a> {
    ("sans-serif", 13).into_font().color(colour)
}

fn bold<'a>() -> TextStyle<'a> {
    ("sans-serif", 15, FontStyle::Bold).into_font().color(&INK)
}

/// A figure with as many digits as say something.
fn figure(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 10_000.0 => format!("{value:.0}"),
        value => format!("{:.1}k", value / 1000.0),
    }
}
