//! The events of a console: Ctrl-C, Ctrl-Break and the end of Windows end the program; a window that
//! is closed, or a user that leaves, says that its console is gone.
//!
//! Of the last three Windows waits for the answer, for some five seconds, and then kills the process,
//! however long a drain may take otherwise. tokio never answers them, so this time can be used.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use tokio::runtime::Builder;
use tokio::signal::windows::{
    CtrlBreak, CtrlC, CtrlClose, CtrlLogoff, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close,
    ctrl_logoff, ctrl_shutdown,
};

use super::Signal;

/// Calls `tell` for every event from here on, in a thread of its own.
pub(crate) fn forward(tell: impl Fn(Signal) + Send + 'static) -> io::Result<()> {
    let runtime = Builder::new_current_thread().build()?;
    let mut events = Events::listen()?;
    let body = move || {
        runtime.block_on(async {
            loop {
                tell(poll_fn(|cx| events.poll(cx)).await);
            }
        });
    };
    std::thread::Builder::new().name("wharf-signals".to_owned()).spawn(body)?;
    Ok(())
}

/// All that a console says.
struct Events {
    interrupt: CtrlC,
    broken_off: CtrlBreak,
    shutdown: CtrlShutdown,
    close: CtrlClose,
    logoff: CtrlLogoff,
}

impl Events {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: ctrl_c()?,
            broken_off: ctrl_break()?,
            shutdown: ctrl_shutdown()?,
            close: ctrl_close()?,
            logoff: ctrl_logoff()?,
        })
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Signal> {
        let ends = self.interrupt.poll_recv(cx).is_ready()
            || self.broken_off.poll_recv(cx).is_ready()
            || self.shutdown.poll_recv(cx).is_ready();
        if ends {
            return Poll::Ready(Signal::End);
        }
        if self.close.poll_recv(cx).is_ready() || self.logoff.poll_recv(cx).is_ready() {
            return Poll::Ready(Signal::HangUp);
        }
        Poll::Pending
    }
}
