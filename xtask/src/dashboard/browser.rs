//! A browser without a window: Debian's Chromium, told by its driver what to do. The driver's protocol (`WebDriver`,
//! of the W3C) is JSON over HTTP.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;

use crate::checks::ensure;
use crate::{Result, packages, process, wait};

const PACKAGES: [&str; 2] = ["chromium", "chromium-driver"];
const BROWSER: &str = "chromium";
const DRIVER: &str = "chromedriver";
/// Nothing that asks anybody but the page under test, and what a container needs.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];
/// How long a browser may take to start, or to answer.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// How long the page may take until something is so: it asks once a second, and the machine may be busy.
const PAGE_MAX: Duration = Duration::from_secs(20);
/// How long the driver may take to end when its session has.
const END_MAX: Duration = Duration::from_secs(5);
/// Under this name the driver's protocol has the reference of an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one page, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Browser {
    driver: Child,
    agent: Agent,
    /// Where its session is to be told.
    session: String,
}

/// What a page has said or done since it was last asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Log {
    /// Its console.
    Console,
    /// Everything, its requests among it.
    Events,
}

impl Browser {
    /// Starts one with an empty profile in a folder, and installs it first if it is missing.
    pub(super) fn start(folder: &Path) -> Result<Self> {
        let find = |program| packages::find(program, &[]);
        packages::install(&PACKAGES, || find(BROWSER).and_then(|_| find(DRIVER)).is_some())?;
        let browser = find(BROWSER).ok_or("there is no Chromium")?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new(DRIVER);
        command.args([&format!("--port={port}"), "--silent"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let driver = process::spawn(&mut command)?;
        let config = Agent::config_builder().http_status_as_error(false).proxy(None);
        let agent = config.timeout_global(Some(ANSWER_MAX)).build().new_agent();
        let mut this = Self { driver, agent, session: format!("http://127.0.0.1:{port}") };
        let is_up = || this.agent.get(format!("{}/status", this.session)).call().ok();
        wait::until(PAGE_MAX, is_up).ok_or("the driver of the browser does not answer")?;
        let begun = this.tell("session", &wanted(browser, folder))?;
        let id = begun["sessionId"].as_str().ok_or("the driver names no session")?;
        this.session = format!("{}/session/{id}", this.session);
        // What a browser shows before it has a page is its own.
        this.open("about:blank")?;
        this.log(Log::Events)?;
        Ok(this)
    }

    fn tell(&self, path: &str, what: &Value) -> Result<Value> {
        let request = self.agent.post(format!("{}/{path}", self.session));
        let answer = request.send(what.to_string())?.body_mut().read_to_string()?;
        let mut answer: Value = serde_json::from_str(&answer)?;
        let value = answer["value"].take();
        let (error, message) = (&value["error"], value["message"].as_str().unwrap_or_default());
        let first = message.lines().next().unwrap_or_default();
        ensure(error.is_null(), || format!("the browser says {error} to {path}: {first}"))?;
        Ok(value)
    }

    /// Opens a page.
    pub(super) fn open(&self, url: &str) -> Result<()> {
        self.tell("url", &json!({ "url": url })).map(drop)
    }

    /// Runs the body of a function in the page, and gives what it returns; a promise is waited for.
    pub(super) fn run(&self, script: &str) -> Result<Value> {
        let script = format!("return (async () => {{ {script} }})()");
        self.tell("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until an expression holds in the page.
    pub(super) fn until(&self, expression: &str) -> Result<()> {
        let mut last = Ok(Value::Null);
        let holds = wait::until(PAGE_MAX, || {
            last = self.run(&format!("return Boolean({expression})"));
            matches!(last, Ok(Value::Bool(true))).then_some(())
        });
        let shown = |value: Value| format!("in vain for {PAGE_MAX:?}: {expression} is {value}");
        holds.ok_or_else(|| last.map_or_else(|error| error.to_string(), shown).into())
    }

    /// The text of an element, as it is read.
    pub(super) fn text(&self, selector: &str) -> Result<String> {
        let text = self.run(&format!("return document.querySelector(`{selector}`).innerText"))?;
        Ok(text.as_str().unwrap_or_default().trim().to_owned())
    }

    /// Clicks on an element, which has to be seen and to lie under no other.
    pub(super) fn click(&self, selector: &str) -> Result<()> {
        self.on(selector, "click", &json!({}))
    }

    /// Presses keys on an element.
    pub(super) fn press(&self, selector: &str, keys: &str) -> Result<()> {
        self.on(selector, "value", &json!({ "text": keys }))
    }

    /// Makes an input empty.
    pub(super) fn clear(&self, selector: &str) -> Result<()> {
        self.on(selector, "clear", &json!({}))
    }

    fn on(&self, selector: &str, what: &str, how: &Value) -> Result<()> {
        let found = json!({ "using": "css selector", "value": selector });
        let found = self.tell("element", &found)?;
        let element = found[ELEMENT].as_str().ok_or("the driver names no element")?;
        self.tell(&format!("element/{element}/{what}"), how).map(drop)
    }

    /// What a log has got since it was last asked for.
    pub(super) fn log(&self, log: Log) -> Result<Vec<Value>> {
        let name = match log {
            Log::Console => "browser",
            Log::Events => "performance",
        };
        let entries = self.tell("se/log", &json!({ "type": name }))?;
        Ok(entries.as_array().cloned().unwrap_or_default())
    }

    /// The page as if on a screen of this size, in pixels.
    pub(super) fn resize(&self, width: u32, height: u32) -> Result<()> {
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics).map(drop)
    }

    /// The page as if the system preferred this scheme of colours: `dark` or `light`.
    pub(super) fn prefer(&self, scheme: &str) -> Result<()> {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": features })).map(drop)
    }

    /// What is seen of the page, as a PNG in Base64.
    pub(super) fn picture(&self) -> Result<String> {
        let picture = self.devtools("Page.captureScreenshot", &json!({ "format": "png" }))?;
        Ok(picture["data"].as_str().unwrap_or_default().to_owned())
    }

    fn devtools(&self, command: &str, parameters: &Value) -> Result<Value> {
        self.tell("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }
}

/// What the session is to be like.
fn wanted(browser: PathBuf, folder: &Path) -> Value {
    let profile = format!("--user-data-dir={}", folder.display());
    let flags: Vec<_> = FLAGS.iter().copied().chain([&*profile]).collect();
    json!({ "capabilities": { "alwaysMatch": {
        "browserName": "chrome",
        "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        "goog:chromeOptions": { "binary": browser, "args": flags },
    } } })
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser ends with its session, and its driver when it is told to.
        let _ = self.agent.delete(&self.session).call();
        let ended = wait::until(END_MAX, || {
            let _ = self.driver.kill();
            self.driver.try_wait().ok().flatten()
        });
        if ended.is_none() {
            eprintln!("process {} ({DRIVER}) has not ended", self.driver.id());
        }
    }
}
