//! The page for people, as it is handed out. What it does in a browser is tested by `cargo xtask dashboard`.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::Fixture;

const POLICY: &str = "content-security-policy: default-src 'none'; script-src 'self'; \
    style-src 'self'; connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'; \
    base-uri 'none'; form-action 'none'\r\n";

/// The files that the page is made of.
fn files() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dashboard");
    let entries = folder.read_dir().unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.ends_with(".rs")).collect()
}

/// What stands between the marks around each occurrence.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> impl Iterator<Item = &'a str> {
    text.split(begin).skip(1).filter_map(move |rest| rest.split_once(end).map(|(name, _)| name))
}

#[test]
fn the_page_and_all_that_it_names_is_there_and_nothing_lies_about() {
    let fixture = Fixture::start(|_| ());
    let page = fixture.get("/");
    let mut told: Vec<_> = between(&page.body, "\"/dashboard/", "\"").map(str::to_owned).collect();
    assert_eq!(told.len(), 2, "{}", page.body);
    let mut seen = BTreeSet::from(["page.html".to_owned()]);
    while let Some(name) = told.pop() {
        if seen.insert(name.clone()) {
            let file = fixture.get(&format!("/dashboard/{name}"));
            assert_eq!(file.status, Some(200), "{name}");
            let kind = if name.ends_with("css") { "text/css" } else { "text/javascript" };
            let kind = format!("content-type: {kind}; charset=utf-8\r\n");
            assert!(file.head.contains(&kind), "{name}: {}", file.head);
            told.extend(between(&file.body, " from \"./", "\"").map(str::to_owned));
        }
    }
    assert_eq!(seen, files());
    assert_eq!(fixture.get("/dashboard/page.html").status, Some(404));
    assert_eq!(fixture.get("/dashboard/../Cargo.toml").status, Some(404));
}

#[test]
fn a_browser_is_told_to_run_and_to_ask_nothing_else() {
    let fixture = Fixture::start(|_| ());
    for path in ["/", "/dashboard/main.js", "/dashboard/style.css"] {
        let head = fixture.get(path).head;
        // The last header has its end of line taken off.
        let head = format!("{head}\r\n");
        for header in [
            POLICY,
            "x-content-type-options: nosniff\r\n",
            "x-frame-options: deny\r\n",
            "referrer-policy: no-referrer\r\n",
            "cross-origin-resource-policy: same-origin\r\n",
            "cross-origin-opener-policy: same-origin\r\n",
            "cache-control: no-store\r\n",
        ] {
            assert!(head.contains(header), "{path}: no {header} in {head}");
        }
        assert!(!head.contains("access-control"), "{path}: {head}");
    }
}

#[test]
fn the_page_is_had_without_a_token_and_by_those_who_call_it_by_its_name() {
    let fixture = Fixture::start(|options| options.token = Some("0123456789abcdef".to_owned()));
    let host = fixture.admin.address();
    let status = |method: &str, path: &str, headers: &str| {
        fixture.ask(&format!("{method} {path} HTTP/1.1\r\n{headers}\r\n")).status
    };
    let own = format!("Host: {host}\r\n");
    assert_eq!(status("GET", "/", &own), Some(200));
    assert_eq!(status("GET", "/dashboard/main.js", &own), Some(200));
    assert_eq!(status("POST", "/", &own), Some(405));
    // Who has no token learns of no other path whether it is there.
    for path in ["/api/v1/server", "/dashboard/", "/dashboard/none.js", "/index.html"] {
        assert_eq!(status("GET", path, &own), Some(401), "{path}");
    }
    assert_eq!(status("GET", "/", "Host: evil.example\r\n"), Some(421));
    assert_eq!(status("GET", "/", ""), Some(400));
    let foreign = format!("{own}Origin: http://evil.example\r\n");
    assert_eq!(status("GET", "/dashboard/main.js", &foreign), Some(403));
}

#[test]
fn the_page_holds_nothing_of_the_server_and_no_module_writes_markup() {
    let fixture = Fixture::start(|_| ());
    let page = fixture.get("/").body;
    for inline in [" style=", " onclick=", "<style", "javascript:", "http://127", "https://"] {
        assert!(!page.contains(inline), "{inline}");
    }
    assert!(page.matches("<script").count() == 1 && page.contains("></script>"), "{page}");
    let names = files();
    let modules = names.iter().filter(|name| name.ends_with(".js"));
    for name in modules {
        let module = fixture.get(&format!("/dashboard/{name}")).body;
        for markup in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("]
        {
            assert!(!module.contains(markup), "{name} has {markup}");
        }
    }
}
