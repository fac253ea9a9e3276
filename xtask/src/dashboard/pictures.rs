//! The pictures in docs/: the page beside a server under load, dark and light.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::browser::Browser;
use super::served::Served;
use crate::checks::ensure;
use crate::workspace::{self, Profile};
use crate::{Result, load, packages, process, wait};

const FOLDER: &str = "docs/screenshots";
/// Makes the colours fewer, of which the page has few anyway.
const SHRINK: &str = "pngquant";
const BYTES_MAX: u64 = 150 << 10;
const SIZE: (u32, u32) = (1280, 1160);
/// So that the charts have something to show.
const WARM_UP: Duration = Duration::from_secs(75);
/// How long the page may take to be drawn anew in other colours.
const REDRAWN: Duration = Duration::from_secs(3);
const LOAD: &str = "--sessions 1000 --rate 2500 --size 256 --duration 150";
/// Those that come and go.
const GUESTS: &str = "--sessions 10 --rate 15 --duration 150";

/// Makes them; the browser's profile lies in a folder.
pub(super) fn take(folder: &Path) -> Result<()> {
    packages::install(&[SHRINK], || packages::find(SHRINK, &[]).is_some())?;
    let wharf = workspace::wharf(Profile::Dev)?;
    let served = Served::start(&wharf, "echo", "")?;
    let browser = Browser::start(folder)?;
    let _load = load::start(&wharf, &served.server, LOAD)?;
    browser.resize(SIZE.0, SIZE.1)?;
    browser.open(&served.url())?;
    let _guests = load::start_mode("accept", &wharf, &served.server, GUESTS)?;
    wait::pause(WARM_UP);
    browser.click("#order option[value=received]")?;
    for scheme in ["light", "dark"] {
        browser.prefer(scheme)?;
        browser.run("scrollTo(0, 0); document.activeElement.blur()")?;
        wait::pause(REDRAWN);
        keep(&browser, scheme)?;
    }
    Ok(())
}

fn keep(browser: &Browser, scheme: &str) -> Result<()> {
    let file = workspace::root().join(FOLDER).join(format!("dashboard-{scheme}.png"));
    fs::create_dir_all(file.parent().unwrap_or_else(|| workspace::root()))?;
    fs::write(&file, BASE64_STANDARD.decode(browser.picture()?)?)?;
    let mut shrink = Command::new(SHRINK);
    shrink.args(["--force", "--strip", "--speed", "1", "--output"]).arg(&file).arg("--").arg(&file);
    process::succeed(&mut shrink)?;
    let bytes = fs::metadata(&file)?.len();
    ensure(bytes <= BYTES_MAX, || format!("{} has {bytes} bytes", file.display()))?;
    println!("{}: {bytes} bytes", file.display());
    Ok(())
}
