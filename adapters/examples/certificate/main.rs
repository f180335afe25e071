//! Holds the adapter of `docs/write-an-adapter.md` to the contract:
//! `cargo run -p runledger-adapters --example certificate`.

mod adapter;

use adapter::CertificateRenew;
use runledger_adapters::conformance::check;
use runledger_adapters::domain::{Domain, DomainSettings};
use runledger_ledger::catalog::Catalog;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The kit asks no source, so nobody has to be there.
    let domain = Domain::new(&DomainSettings::new("postgres://nobody@127.0.0.1:1/none"))?;
    let registry = runledger_adapters::built_in(None)
        .with(CertificateRenew::new(domain))
        .build(&Catalog::built_in())?;
    match check(&registry).await.into_iter().next() {
        Some(failure) => Err(failure.into()),
        None => Ok(()),
    }
}
