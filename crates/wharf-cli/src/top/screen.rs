//! The terminal: taken when the view begins, and given back however it ends.

use std::io::{self, IsTerminal, Stdout, Write};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

use super::state::State;
use super::view::{self, Theme};
use crate::failure::{Exit, Failure};

/// Whether the terminal is ours, and has to be given back.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// A terminal in raw mode, with its other screen shown and its cursor hidden, until this is dropped.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

/// Refuses what is no terminal, and says what to do instead.
pub(super) fn check() -> Result<(), Failure> {
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if io::stdout().is_terminal() && !is_dumb {
        return Ok(());
    }
    let problem = if is_dumb {
        "TERM is dumb: this terminal cannot move its cursor"
    } else {
        "the standard output is no terminal"
    };
    Err(Failure::arguments(format_args!("{problem}; give --once for one picture as text")))
}

impl Screen {
    pub(super) fn take() -> Result<Self, Failure> {
        let failed = |error| {
            Failure::new(
                Exit::Failed,
                format_args!(
                    "the terminal cannot be used: {error}; give --once for one picture as text"
                ),
            )
        };
        give_back_after_panics();
        enable_raw_mode().map_err(failed)?;
        IS_TAKEN.store(true, Ordering::Release);
        let screen = execute!(io::stdout(), EnterAlternateScreen, Hide)
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        match screen {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                give_back();
                Err(failed(error))
            }
        }
    }

    /// Draws what is known. A terminal that is gone says so.
    pub(super) fn draw(&mut self, state: &mut State, theme: &Theme) -> io::Result<()> {
        let draw = |frame: &mut ratatui::Frame<'_>| {
            let area = frame.area();
            state.is_too_small = view::is_too_small(area);
            state.scroll(view::session_rows(state, area));
            view::draw(state, theme, area, frame.buffer_mut());
        };
        self.terminal.draw(draw).map(drop)
    }

    /// Has everything drawn anew next, whatever stands there. Where the cursor is need not be known for that, and is
    /// not asked: the answer would come to the thread that reads keys.
    pub(super) fn forget(&mut self) -> io::Result<()> {
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Nobody is left to tell if the terminal is gone.
fn give_back() {
    if IS_TAKEN.swap(false, Ordering::AcqRel) {
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
        let _ = io::stdout().flush();
        let _ = disable_raw_mode();
    }
}

/// What a panic says has to stand on the screen that stays, whichever thread it is in.
fn give_back_after_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            give_back();
            others(panic);
        }));
    });
}
