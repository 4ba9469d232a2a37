//! Pictures inside a page.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// A file as an address that holds it, such as `data:image/png;base64,...`.
pub fn data_uri(kind: &str, bytes: &[u8]) -> String {
    format!("data:{kind};base64,{}", BASE64_STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        // RFC 4648, section 10.
        assert_eq!(data_uri("text/plain", b"foobar"), "data:text/plain;base64,Zm9vYmFy");
    }
}
