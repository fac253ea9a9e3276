//! The page of the admin endpoint in a real browser, beside a server under load: what is shown, what is done, and
//! what must not happen.
//!
//! | module | what it holds |
//! |---|---|
//! | [`browser`] | Chromium without a window, and how it is told what to do |
//! | [`served`] | a server with an endpoint, and what it says itself |
//! | [`figures`] | whether what is shown is so: figures, looks, a server that is lost |
//! | [`acts`] | finding a session, and what is done to the server |
//! | [`walls`] | tokens, texts of peers, and the policy of the page |
//! | [`pictures`] | the pictures in docs/ |

mod acts;
mod browser;
mod figures;
mod pictures;
mod served;
mod walls;

use std::fs;
use std::path::PathBuf;

use self::browser::Browser;
use self::served::Served;
use crate::checks::Checks;
use crate::totals::Totals;
use crate::workspace::{self, Profile};
use crate::{Result, load};

/// Members of the chat, of which one speaks.
const MEMBERS: u64 = 60;
/// For longer than everything here takes; it is ended with the checks.
const LOAD: &str = "--sessions 60 --rate 20 --duration 240";

/// Shows it; with pictures, they are all that is made, in docs/.
pub(crate) fn run(pictures: bool) -> Result<Totals> {
    let folder = fresh_folder()?;
    if pictures {
        pictures::take(&folder)?;
        return Ok(Totals::default());
    }
    let mut checks = Checks::default();
    let wharf = workspace::wharf(Profile::Dev)?;
    let served = Served::start(&wharf, "chat", "")?;
    let browser = Browser::start(&folder)?;
    let chat = load::start_chat(&wharf, &served.server, LOAD)?;
    served.until("the members", |server| server["sessions"] == MEMBERS)?;
    browser.open(&served.url())?;
    checks.check("figures appear and move", || figures::appear_and_move(&browser));
    checks.check("a session is found", || acts::found(&browser, &served));
    checks.check("pages and orders of the table", || acts::pages(&browser));
    checks.check("a page is turned once", || acts::turned_once(&browser));
    checks.check("a kick ends a session", || acts::kick(&browser, &served));
    checks.check("what is selected stays", || acts::selected(&browser));
    checks.check("a ban keeps an address out", || acts::ban(&browser, &served));
    checks.check("accepting is paused and resumed", || acts::pause(&browser, &served));
    checks.check("dark and light", || figures::dark_and_light(&browser));
    checks.check("360 pixels are wide enough", || figures::narrow(&browser));
    checks.check("the keyboard reaches the charts", || figures::keyboard(&browser));
    checks.check("who has not looked is not asked for", || figures::hidden(&browser));
    checks.check("slow answers do not pile up", || figures::slow(&browser));
    checks.check("another run has no rates", || figures::another_run(&browser));
    checks.check("a browser that keeps nothing", || walls::forgetful(&browser));
    checks.check("texts of peers are text", || walls::texts(&browser));
    checks
        .check("nobody else was asked, and nothing went wrong", || walls::quiet(&browser, &served));
    checks.check("the policy of the page holds", || walls::policy(&browser));
    drop(chat);
    checks
        .check("a server that ends and comes back", || figures::restart(&browser, served, &wharf));
    checks.check("a token is asked for", || walls::token(&browser, &wharf, &folder));
    drop(browser);
    fs::remove_dir_all(folder)?;
    Ok(checks.totals())
}

/// A folder for the profile of the browser, which is to know nothing yet.
fn fresh_folder() -> Result<PathBuf> {
    let folder = workspace::target()?.join("dashboard");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
