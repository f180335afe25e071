//! A changed text or template must be checked and embedded although no Rust file changed.

fn main() {
    for path in ["i18n", "templates", "assets"] {
        println!("cargo::rerun-if-changed={path}");
    }
}
