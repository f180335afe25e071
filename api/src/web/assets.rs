//! Style, script, icons and fonts. All of them are in the binary.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Files;

/// The style sheet, as pages name it.
const STYLE: &str = "style.css";
/// What it is made of, in the order in which it counts.
const SHEETS: [&str; 10] =
    ["tokens", "base", "frame", "parts", "overview", "access", "lists", "run", "work", "narrow"];

/// The style sheet: one file, which is asked for once, without what makes its parts easy to read.
static SHEET: LazyLock<String> = LazyLock::new(|| {
    let mut sheet = String::new();
    for part in SHEETS {
        let file = Files::get(&format!("style/{part}.css"));
        let text = file.map(|file| String::from_utf8_lossy(&file.data).into_owned());
        for line in text.unwrap_or_default().lines().map(str::trim).filter(|line| !line.is_empty())
        {
            sheet.push_str(line);
            sheet.push('\n');
        }
    }
    sheet
});

/// Which path each file has: its name and the beginning of its hash, so that it may be kept for
/// ever.
static PATHS: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let named = |name: &str, hash: [u8; 32]| {
        (name.to_owned(), format!("/assets/{name}?v={}", &hex::encode(hash)[..12]))
    };
    let files = Files::iter()
        .filter_map(|name| Some(named(&name, Files::get(&name)?.metadata.sha256_hash())));
    let sheet = named(STYLE, Sha256::digest(SHEET.as_bytes()).into());
    files.chain([sheet]).collect()
});

/// The path of a file that pages name.
pub(super) fn path(name: &str) -> &'static str {
    PATHS.get(name).map_or("", String::as_str)
}

/// One file.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    let for_ever = HeaderValue::from_static("public, max-age=31536000, immutable");
    if name == STYLE {
        let css = HeaderValue::from_static("text/css");
        let headers = [(header::CONTENT_TYPE, css), (header::CACHE_CONTROL, for_ever)];
        return (headers, SHEET.as_str()).into_response();
    }
    let Some(file) = Files::get(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let media_type = HeaderValue::from_str(file.metadata.mimetype())
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let headers = [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, for_ever)];
    (headers, file.data.into_owned()).into_response()
}

/// The icon, for whoever asks for it without having read a page.
pub(super) async fn favicon() -> Response {
    let Some(file) = Files::get("favicon.ico") else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("image/x-icon")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=86400")),
    ];
    (headers, file.data.into_owned()).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Vendored {
        file: Vec<VendoredFile>,
    }

    #[derive(Deserialize)]
    struct VendoredFile {
        name: String,
        package: String,
        version: String,
        license: String,
        license_file: String,
        sha256: String,
    }

    #[test]
    fn what_others_wrote_is_what_its_list_says_with_its_licence_beside_it() {
        let list = Files::get("vendor/vendor.toml").unwrap();
        let list: Vendored = toml::from_str(std::str::from_utf8(&list.data).unwrap()).unwrap();
        let mut named = BTreeSet::from(["vendor/vendor.toml".to_owned()]);
        for file in &list.file {
            let data = Files::get(&format!("vendor/{}", file.name)).expect(&file.name).data;
            assert_eq!(hex::encode(Sha256::digest(&data)), file.sha256, "{}", file.name);
            assert!(file.name.contains(&file.version), "{} names no version", file.name);
            assert!(!file.package.is_empty() && !file.license.is_empty());
            assert!(Files::get(&format!("vendor/{}", file.license_file)).is_some());
            named.insert(format!("vendor/{}", file.name));
            named.insert(format!("vendor/{}", file.license_file));
        }
        let found: BTreeSet<String> =
            Files::iter().filter(|name| name.starts_with("vendor/")).map(Into::into).collect();
        assert_eq!(found, named, "vendor.toml names every file below vendor/, and no other");
    }

    #[test]
    fn the_style_sheet_is_all_of_its_parts() {
        let parts: BTreeSet<String> =
            Files::iter().filter(|name| name.starts_with("style/")).map(Into::into).collect();
        let named: BTreeSet<String> =
            SHEETS.iter().map(|part| format!("style/{part}.css")).collect();
        assert_eq!(parts, named, "each part is in the sheet");
        let (opened, closed) = (SHEET.matches('{').count(), SHEET.matches('}').count());
        assert!(opened > 500 && opened == closed, "{opened} and {closed}");
    }

    #[test]
    fn every_icon_that_a_page_shows_is_in_the_sprite() {
        let sprite = Files::get("vendor/icons-1.62.0.svg").unwrap();
        let sprite = std::str::from_utf8(&sprite.data).unwrap();
        for word in super::super::words::ICONS {
            assert!(sprite.contains(&format!("id=\"{word}\"")), "no icon {word}");
        }
    }
}
