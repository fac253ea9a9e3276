//! Whether what is shown is so.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::MEMBERS;
use super::browser::Browser;
use super::served::Served;
use crate::checks::ensure;
use crate::{Result, wait};

/// The figures of the legends, as they stand.
const LEGENDS: &str = "[...document.querySelectorAll('.chart .value')].map((it) => it.textContent)";
/// The charts that have something to show: a chat starts no timer that could be late.
const CHARTS: &str = "[...document.querySelectorAll('.chart')].filter((it) => !it.innerText.startsWith('Timer lag'))";
/// Whether each of these has points of the colour of its first line.
const DRAWN: &str = ".every((chart) => {
    const wanted = getComputedStyle(chart.querySelector('.swatch')).color.match(/\\d+/g).slice(0, 3);
    const canvas = chart.querySelector('canvas');
    const copy = document.createElement('canvas');
    [copy.width, copy.height] = [canvas.width, canvas.height];
    const pen = copy.getContext('2d', { willReadFrequently: true });
    pen.drawImage(canvas, 0, 0);
    const { data } = pen.getImageData(0, 0, copy.width, copy.height);
    for (let at = 0; at < data.length; at += 4) {
        const is = wanted.every((part, of) => Math.abs(part - data[at + of]) < 8);
        if (is && data[at + 3] > 128) return true;
    }
    return false;
})";

pub(super) fn appear_and_move(browser: &Browser) -> Result<String> {
    let tile = |name: &str| {
        let is_it = format!("(it) => it.innerText.startsWith('{name}')");
        format!("[...document.querySelectorAll('#tiles div')].find({is_it}).lastChild.innerText")
    };
    browser.until(&format!("{} === '{MEMBERS}'", tile("Sessions")))?;
    browser.until(&format!("parseFloat({}) > 0", tile("Frames in")))?;
    browser.until(&format!("parseFloat({}) > 0", tile("Bytes out")))?;
    browser.until(&format!("{CHARTS}.every((it) => !it.innerText.includes('–'))"))?;
    browser.until(&format!("{CHARTS}{DRAWN}"))?;
    let up = browser.run(&format!("return {}", tile("Up for")))?;
    browser.until(&format!("{} !== {up}", tile("Up for")))?;
    browser.until("document.querySelectorAll('#workers tbody tr').length === 2")?;
    // One of the two listens.
    let backlogs =
        "[...document.querySelectorAll('#workers tr')].map((it) => it.cells[7].innerText)";
    browser.until(&format!("{backlogs}.filter((it) => /^0 of [\\d,]+$/.test(it)).length === 1"))?;
    browser.until(&format!("{backlogs}.filter((it) => it === '–').length === 1"))?;
    let frames = browser.run(&format!("return {}", tile("Frames in")))?;
    Ok(format!("{MEMBERS} sessions, frames {frames}, every chart has a line"))
}

pub(super) fn dark_and_light(browser: &Browser) -> Result<String> {
    let light_of = || -> Result<u64> {
        let parts = "getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g)";
        let sum = browser
            .run(&format!("return {parts}.slice(0, 3).map(Number).reduce((a, b) => a + b)"))?;
        Ok(sum.as_u64().unwrap_or_default())
    };
    let (mut seen, mut problems) = (Vec::new(), Vec::new());
    for (system, choice, is_dark) in [
        ("light", "", false),
        ("dark", "", true),
        ("dark", "light", false),
        ("light", "dark", true),
        ("light", "", false),
    ] {
        browser.prefer(system)?;
        browser.click(&format!("#theme option[value='{choice}']"))?;
        let light = light_of()?;
        if (light < 150) != is_dark {
            problems.push(format!("'{choice}' on a {system} system has a ground of {light}"));
        }
        let pale = browser.run(&format!("{LIGHT} {PALETTE}"))?;
        if pale != Value::Array(Vec::new()) {
            problems.push(format!("'{choice}' on a {system} system: too pale are {pale}"));
        }
        let worst = browser.run(&format!("{LIGHT} {CONTRAST}"))?;
        seen.push(worst["ratio"].as_f64().unwrap_or_default());
        if seen.last().is_some_and(|ratio| *ratio < 4.5) {
            problems.push(format!("'{choice}' on a {system} system: contrast {worst}"));
        }
    }
    ensure(problems.is_empty(), || problems.join("; "))?;
    let least = seen.iter().copied().fold(f64::INFINITY, f64::min);
    Ok(format!("follows the system and the switch; the least contrast of text is {least:.1}"))
}

/// How light a color is, and the contrast of two, as WCAG has it.
const LIGHT: &str = "
    const parts = (color) => color.match(/[\\d.]+/g).map(Number);
    const light = (color) => {
        const linear = (part) => part <= 10.3 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4;
        const [red, green, blue] = parts(color).map(linear);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const contrast = (one, other) => {
        const [a, b] = [light(one), light(other)];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    };";

/// Those colors that are too near to what they may stand on, whether they are seen now or not: 4.5 for text, 3 for
/// what else has to be made out.
const PALETTE: &str = "
    const probe = document.body.appendChild(document.createElement('i'));
    const color = (name) => {
        probe.style.color = `var(--${name})`;
        return getComputedStyle(probe).color;
    };
    const pale = [];
    const check = (names, grounds, least) => {
        for (const name of names) for (const ground of grounds) {
            const ratio = contrast(color(name), color(ground));
            if (ratio < least) pale.push(`${name} on ${ground}: ${ratio.toFixed(2)}`);
        }
    };
    check(['text', 'quiet', 'accent', 'good', 'warn', 'bad'], ['ground', 'sheet'], 4.5);
    check(['text'], ['bar'], 4.5);
    check(['control', 'accent', 'series-1', 'series-2', 'series-3'], ['ground', 'sheet'], 3);
    const placeholder = getComputedStyle(document.querySelector('#peer'), '::placeholder').color;
    const ratio = contrast(placeholder, color('sheet'));
    if (ratio < 4.5) pale.push(`a placeholder: ${ratio.toFixed(2)}`);
    probe.remove();
    return pale;";

/// The least contrast of any text with what it stands on.
const CONTRAST: &str = "
    const ground = (it) => {
        for (; it; it = it.parentElement) {
            const color = getComputedStyle(it).backgroundColor;
            if ((parts(color)[3] ?? 1) > 0) return color;
        }
    };
    let worst = { ratio: 99 };
    for (const it of document.querySelectorAll('body *')) {
        const hasText = [...it.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!hasText || it.offsetParent === null || it.disabled) continue;
        const ratio = contrast(getComputedStyle(it).color, ground(it));
        if (ratio < worst.ratio) worst = { ratio, text: it.textContent.slice(0, 40) };
    }
    return worst;";

pub(super) fn narrow(browser: &Browser) -> Result<String> {
    let mut widths = Vec::new();
    for width in [360, 768, 1280] {
        browser.resize(width, 800)?;
        let wide = browser.run("return document.documentElement.scrollWidth")?;
        ensure(wide.as_u64() <= Some(width.into()), || {
            format!("{width} pixels, and {wide} are taken")
        })?;
        widths.push(width.to_string());
    }
    let table = "document.querySelector('#workers').closest('.scroll')";
    let is_whole = browser.run(&format!("return {table}.scrollWidth <= {table}.clientWidth"))?;
    ensure(is_whole == true, || "the table of workers is cut at 1280 pixels".to_owned())?;
    Ok(format!("no scrolling sideways at {} pixels", widths.join(", ")))
}

pub(super) fn keyboard(browser: &Browser) -> Result<String> {
    let canvas = ".chart canvas";
    browser.press(canvas, "\u{e012}\u{e012}\u{e012}")?; // Three times to the left.
    let value = "document.querySelector('.chart canvas').ariaValueText";
    browser.until(&format!("/^\\d\\d:\\d\\d:\\d\\d: all workers .*\\/s$/.test({value})"))?;
    let told = browser.run(&format!("return {value}"))?;
    let moment = "document.querySelector('.chart canvas').ariaValueNow";
    browser.press(canvas, "\u{e011}")?; // Home
    browser.until(&format!("{moment} === '-300'"))?;
    browser.press(canvas, "\u{e010}")?; // End
    browser.until(&format!("{moment} === '0'"))?;
    browser.press(canvas, "\u{e012}\u{e00c}")?; // Escape, after a step to the left.
    browser.until(&format!("{value}.startsWith('now: ')"))?;
    let unnamed = browser.run(
        "return [...document.querySelectorAll('button, input, select, canvas')].filter((it) =>
            !(it.ariaLabel || it.labels?.length || it.textContent.trim())).map((it) => it.outerHTML)",
    )?;
    ensure(unnamed == Value::Array(Vec::new()), || format!("without a name: {unnamed}"))?;
    let first = "document.querySelector('a, button, input, select, [tabindex]')";
    let skips = browser.run(&format!("{first}.focus(); return {first}.matches('.skip')"))?;
    ensure(skips == true, || {
        "the first that the keyboard reaches does not skip the rest".to_owned()
    })?;
    browser.press(".skip", "\u{e007}")?; // Enter
    browser.until("document.activeElement.id === 'sessions-title'")?;
    Ok(format!("three steps back: {told}"))
}

/// How often the page has asked.
const ASKED: &str =
    "performance.getEntriesByType('resource').filter((it) => it.name.includes('/api/')).length";
/// Longer than between two questions.
const A_WHILE: Duration = Duration::from_secs(3);

pub(super) fn hidden(browser: &Browser) -> Result<String> {
    let hide = |is: bool| {
        browser.run(&format!(
            "performance.clearResourceTimings();
            Object.defineProperty(document, 'hidden', {{ value: {is}, configurable: true }});
            document.dispatchEvent(new Event('visibilitychange'));"
        ))
    };
    hide(true)?;
    wait::pause(A_WHILE);
    let asked = browser.run(&format!("return {ASKED}"))?;
    // What was under way when it went out of sight.
    ensure(asked.as_u64() <= Some(3), || format!("{asked} questions while nobody looks"))?;
    hide(false)?;
    browser.until(&format!("{ASKED} >= 4"))?;
    Ok(format!("{asked} questions in {A_WHILE:?} out of sight, and again in sight"))
}

pub(super) fn slow(browser: &Browser) -> Result<String> {
    browser.run(
        "window.real = window.fetch; window.under = 0; window.most = 0; window.slow = 0;
        window.fetch = async (...all) => {
            window.under += 1; window.slow += 1; window.most = Math.max(window.most, window.under);
            await new Promise((resolve) => setTimeout(resolve, 2500));
            window.under -= 1;
            return window.real(...all);
        };",
    )?;
    browser.until("window.slow >= 5")?;
    let most = browser.run("const { most } = window; window.fetch = window.real; return most;")?;
    ensure(most.as_u64() <= Some(2), || format!("{most} questions at a time"))?;
    Ok(format!("{most} questions at a time, while answers took 2.5 s"))
}

/// As if each answer were of a server that has just been started.
pub(super) fn another_run(browser: &Browser) -> Result<String> {
    let some = format!("parseFloat({LEGENDS}[0]) > 0");
    browser.until(&some)?;
    browser.run(
        "window.real = window.fetch;
        window.fetch = async (url, options) => {
            const answer = await window.real(url, options);
            if (!String(url).endsWith('/server')) return answer;
            return new Response(JSON.stringify({ ...await answer.json(), uptime_seconds: 1 }));
        };",
    )?;
    browser.until(&format!("{LEGENDS}[0] === '–'"))?;
    browser.run("window.fetch = window.real")?;
    browser.until(&some)?;
    let told = browser.run(RUNS)?;
    let expected = serde_json::json!([true, true, true, true, false, false, false]);
    ensure(told == expected, || format!("taken for the same run: {told}"))?;
    Ok("nothing has a rate, until two answers are of one run".to_owned())
}

/// Whether it is the same run: a second later, up to half a second less, with late answers, and at the same moment;
/// then less than has passed, less than before, and hardly more after a long time.
const RUNS: &str = "
    const { isSameRun } = await import('/dashboard/history.js');
    const before = { up: 10, asked: 1000, answered: 1100 };
    const after = (up, asked, answered) => isSameRun({ up, asked, answered }, before);
    return [
        after(11, 2000, 2100), after(10.6, 2100, 2200), after(10.6, 1200, 4900), after(10, 1100, 1100),
        after(10.4, 2100, 2200), after(9, 1200, 1300), after(11, 60000, 60100),
    ];";

pub(super) fn restart(browser: &Browser, served: Served, wharf: &Path) -> Result<String> {
    let start = served.stop()?;
    let lost = "document.querySelector('#lost')";
    browser.until(&format!("!{lost}.hidden && {lost}.innerText.startsWith('No answer since ')"))?;
    // What is read out does not change with the time that passes, which does.
    let alerts = browser.run(
        "const [told, time] = ['#lost-since', '#lost-for'].map((it) => document.querySelector(it));
        const [before, first] = [told.innerText, time.innerText];
        let changes = 0;
        const all = { childList: true, characterData: true, subtree: true };
        new MutationObserver(() => { changes += 1; }).observe(told, all);
        const moment = () => new Promise((go) => setTimeout(go, 100));
        for (let at = 0; at < 100 && time.innerText === first; at += 1) await moment();
        return [told.role, before.includes('('), time.innerText === first, changes];",
    )?;
    ensure(alerts == serde_json::json!(["alert", false, false, 0]), || {
        format!("read out: {alerts}")
    })?;
    let lost = browser.text("#lost")?;
    let _served = start(wharf)?;
    browser.until("document.querySelector('#lost').hidden")?;
    browser.until("document.querySelector('#said').innerText.includes('answers again')")?;
    browser.until(&format!("{LEGENDS}[0] === '0/s'"))?;
    let rates = browser.run(HISTORY)?;
    let expected = serde_json::json!([null, 10, null, null, 30, null]);
    ensure(rates == expected, || format!("rates across a restart and a pause: {rates}"))?;
    Ok(format!("'{}', and no rate across it", lost.split('(').next().unwrap_or_default().trim()))
}

/// The rates of an answer, one a second later, one of the server started anew, one of it a second later, and one
/// after a pause: a gap stands before what does not follow.
const HISTORY: &str = "
    const { History } = await import('/dashboard/history.js');
    const history = new History();
    const histogram = { bounds_seconds: [1], counts: [0, 0] };
    const add = (at, uptime, frames) => history.add(
        at,
        { uptime_seconds: uptime, sessions: 1, closes: { peer_closed: 0 } },
        { workers: [{ stats: { frames_in: frames, bytes_in: 0, bytes_out: 0, accepted: 0 },
            report: null, turns: histogram, timer_lag: histogram }] },
    );
    add(1000, 100, 70);
    add(2000, 101, 80);
    add(3000, 1, 200);
    add(4000, 2, 230);
    add(60000, 58, 240);
    const rates = history.samples.map(({ values }) => values?.frames ?? null);
    // Of two gaps the one before the last answer need not be told.
    return rates.slice(0, 5).concat(rates.slice(6));";
