//! What must not happen: a text that is taken for markup, a request to somebody else, a figure without a token.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::browser::{Browser, Log};
use super::served::Served;
use crate::Result;
use crate::checks::ensure;

const TOKEN: &str = "a-token-of-some-length";
/// What would be seen, and heard of by the page, if it were taken for markup.
const MARKUP: &str = "<img src=x onerror=window.ran=1><b>bold</b>";

pub(super) fn texts(browser: &Browser) -> Result<String> {
    browser.run(&format!(
        "window.real = window.fetch;
        window.fetch = async (url, options) => {{
            const answer = await window.real(url, options);
            if (!String(url).includes('/sessions?')) return answer;
            const page = await answer.json();
            const {{ id, ...first }} = page.sessions[0];
            const text = `{MARKUP}`;
            page.sessions = [{{ ...first, id, name: text, peer: text, groups: [text, '</td>'] }}];
            return new Response(JSON.stringify(page));
        }};"
    ))?;
    browser.until("document.querySelector('#sessions td').textContent.startsWith('<img')")?;
    let seen = browser.run(
        "window.fetch = window.real;
        const row = document.querySelector('#sessions tbody tr');
        return [row.cells.length, row.querySelectorAll('img, b').length, window.ran ?? 0,
            row.cells[1].textContent, row.cells[10].textContent];",
    )?;
    let expected = serde_json::json!([12, 0, 0, MARKUP, format!("{MARKUP}, </td>")]);
    ensure(seen == expected, || format!("the row is {seen}"))?;
    browser.click("#sessions tbody button")?;
    let question = browser.text("#confirm-text")?;
    let elements = browser.run("return document.querySelectorAll('#confirm-text *').length")?;
    browser.click("#confirm-no")?;
    ensure(question.contains(MARKUP) && elements == 0, || format!("it asks: {question}"))?;
    Ok("an image and bold letters are shown as they are written".to_owned())
}

/// Where nothing may be kept, each access throws: the page goes on, and forgets when it is left.
pub(super) fn forgetful(browser: &Browser) -> Result<String> {
    let kept = browser.run(
        "const names = ['sessionStorage', 'localStorage'];
        const own = names.map((name) => [name, Object.getOwnPropertyDescriptor(window, name)]);
        const get = () => { throw new DOMException('no', 'SecurityError'); };
        for (const name of names) Object.defineProperty(window, name, { configurable: true, get });
        const { inTab, inBrowser } = await import('/dashboard/kept.js?forgetful');
        const told = [inTab, inBrowser].flatMap((it) => {
            const before = it.get('key');
            it.set('key', 'text');
            const kept = it.get('key');
            it.forget('key');
            return [before, kept, it.get('key')];
        });
        for (const [name, descriptor] of own) Object.defineProperty(window, name, descriptor);
        return told;",
    )?;
    let expected = serde_json::json!([null, "text", null, null, "text", null]);
    ensure(kept == expected, || format!("what it keeps is {kept}"))?;
    Ok("until it is left".to_owned())
}

/// Everything so far: what was asked for, and what the console says.
pub(super) fn quiet(browser: &Browser, served: &Served) -> Result<String> {
    let said = browser.log(Log::Console)?;
    ensure(said.is_empty(), || format!("the console says {said:?}"))?;
    let mut requests = 0;
    for entry in browser.log(Log::Events)? {
        let event: Value = serde_json::from_str(entry["message"].as_str().unwrap_or_default())?;
        let event = &event["message"];
        let is_request = event["method"] == "Network.requestWillBeSent";
        let url = event["params"]["request"]["url"].as_str().filter(|_| is_request);
        let Some(url) = url.filter(|url| !url.starts_with("data:")) else { continue };
        ensure(url.starts_with(&served.url()), || format!("{url} was asked for"))?;
        requests += 1;
    }
    ensure(requests > 20, || format!("only {requests} requests were seen"))?;
    Ok(format!("{requests} requests, all to the server, and an empty console"))
}

/// Tries what a text that became markup would try.
pub(super) fn policy(browser: &Browser) -> Result<String> {
    browser.run(
        "window.violated = new Set();
        document.addEventListener('securitypolicyviolation', ({ effectiveDirective }) =>
            window.violated.add(effectiveDirective));
        const add = (name, set) => document.body.append(Object.assign(document.createElement(name), set));
        add('script', { textContent: 'window.ran = 1' });
        add('script', { src: 'http://127.0.0.2:9/other.js' });
        add('img', { src: 'http://127.0.0.2:9/other.png' });
        add('iframe', { src: 'http://127.0.0.2:9/' });
        add('style', { textContent: 'body { display: none }' });
        add('base', { href: 'http://127.0.0.2:9/' });
        const form = document.createElement('form');
        form.action = 'http://127.0.0.2:9/';
        document.body.append(form);
        form.submit();
        fetch('http://127.0.0.2:9/').catch(() => {});
        setTimeout('window.ran = 2', 0);",
    )?;
    let directives = [
        "script-src-elem",
        "img-src",
        "frame-src",
        "style-src-elem",
        "base-uri",
        "form-action",
        "connect-src",
        "script-src",
    ];
    for directive in directives {
        browser
            .until(&format!("window.violated.has('{directive}')"))
            .map_err(|error| format!("{directive} lets it pass: {error}"))?;
    }
    let ran = browser.run("return window.ran ?? null")?;
    ensure(ran.is_null(), || "a script that was added has run".to_owned())?;
    Ok(format!("{} ways out are shut", directives.len()))
}

pub(super) fn token(browser: &Browser, wharf: &Path, folder: &Path) -> Result<String> {
    let file = folder.join("token");
    fs::write(&file, TOKEN)?;
    let served = Served::start(wharf, "chat", &format!("--admin-token-file {}", file.display()))?;
    browser.open(&served.url())?;
    let asks = "!document.querySelector('#token-form').hidden";
    let shows = "!document.querySelector('#main').hidden";
    browser
        .until(&format!("{asks} && !({shows}) && document.querySelector('#token-wrong').hidden"))?;
    // No header can have that: it is not asked with, and not kept.
    browser.press("#token", "a-token-of-some-l\u{e9}ngth\u{4e2d}\u{e007}")?;
    browser.until(&format!("{asks} && !document.querySelector('#token-wrong').hidden"))?;
    let kept = browser.run(
        "document.querySelector('#token-wrong').hidden = true; return sessionStorage.length",
    )?;
    ensure(kept == 0, || "a token that no header can have is kept".to_owned())?;
    browser.press("#token", "another-token-of-some-length\u{e007}")?;
    browser.until(&format!("{asks} && !document.querySelector('#token-wrong').hidden"))?;
    browser.press("#token", &format!("{TOKEN}\u{e007}"))?;
    browser.until(&format!("{shows} && !({asks})"))?;
    browser.until("document.querySelector('#tiles dd').innerText === '0'")?;
    let kept = browser
        .run("return [sessionStorage.length, JSON.stringify(localStorage) + document.cookie]")?;
    let elsewhere = kept[1].as_str().is_none_or(|kept| kept.contains(TOKEN));
    ensure(kept[0] == 1 && !elsewhere, || format!("it is kept so: {kept}"))?;
    browser.click("#accepting")?;
    browser.click("#confirm-yes")?;
    browser.until("document.querySelector('#state').innerText === 'not accepting'")?;
    Ok("a wrong one is not taken, the right one is kept in the tab alone".to_owned())
}
