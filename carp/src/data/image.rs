//! A picture in memory.

/// 8-bit pixels in H,W,C order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// `height * width * channels` numbers.
    pub pixels: Vec<u8>,
}
