//! Styles. The background is the terminal's own, and so is the colour of most text, so that light ones and dark ones
//! both stay readable. Nothing is told by a colour alone; with `NO_COLOR` crossterm leaves them out.

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::bar;

/// Bars of ASCII alone, from nothing to full.
const ASCII_BARS: bar::Set<'static> = bar::Set {
    full: "#",
    seven_eighths: "%",
    three_quarters: "*",
    five_eighths: "+",
    half: "=",
    three_eighths: "-",
    one_quarter: ":",
    one_eighth: ".",
    empty: " ",
};

/// How things look.
#[derive(Debug)]
pub(in crate::top) struct Theme {
    pub(super) bars: bar::Set<'static>,
}

impl Theme {
    pub(in crate::top) const fn new(ascii: bool) -> Self {
        Self { bars: if ascii { ASCII_BARS } else { bar::NINE_LEVELS } }
    }

    pub(super) const fn title(&self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) const fn faint(&self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(super) const fn head(&self) -> Style {
        Style::new().add_modifier(Modifier::UNDERLINED)
    }

    pub(super) const fn chosen(&self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub(super) const fn good(&self) -> Style {
        Style::new().fg(Color::Green)
    }

    pub(super) const fn bad(&self) -> Style {
        Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// What is not bad yet.
    pub(super) const fn warn(&self) -> Style {
        Style::new().fg(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    pub(super) const fn graph(&self) -> Style {
        Style::new().fg(Color::Blue)
    }
}
