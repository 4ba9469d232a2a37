//! OBoW (Gidaris et al., 2021): predict from a crop which visual words the whole image holds.
//!
//! ```text
//! teacher's feature map of the image, its border cut off; d = squared distances to all words
//! mean <- m mean + (1 - m) mean over images and positions of the smallest d
//! code = softmax(-(inv_delta / mean) d);   bow = maximum of code over the positions, sum 1
//! L    = mean over crops of KL(bow || softmax(kappa f W'))        f of the student's crop
//! ```
//!
//! The words are a queue of the teacher's features, and W `[W,F]` their weights from a small
//! network. Words differ, and a bag holds several of them, so a constant feature cannot predict
//! all bags.

use autograd::{Error, Graph, Result, Value};
use serde::{Deserialize, Serialize};

use crate::cross_entropy::soft_cross_entropy;
use crate::unit::row_products;

/// The smallest share whose logarithm is taken: p ln p of the others is 0.
const LEAST: f32 = f32::MIN_POSITIVE;

/// The settings, by default the authors' for a ResNet-50.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Obow {
    /// Sharpness of the codes.
    pub inv_delta: f32,
    /// m of the mean distance.
    pub momentum: f32,
    /// Sharpness of the prediction.
    pub kappa: f32,
}

impl Default for Obow {
    fn default() -> Obow {
        Obow { inv_delta: 15.0, momentum: 0.99, kappa: 8.0 }
    }
}

impl Obow {
    /// The bags `[B,W]` of the teacher's maps `[B,H,W,C]` over words `[W,C]`; moves the mean distance,
    /// a state of one number, before it is used.
    ///
    /// # Errors
    /// Shapes that do not fit, or maps without an inner position.
    pub fn bags(
        &self,
        g: &mut Graph,
        maps: Value,
        words: Value,
        mean_distance: Value,
    ) -> Result<Value> {
        let x = inner_positions(g, maps)?;
        let images = g.shape(maps)[0];
        let distances = squared_distances(g, x, words)?;
        let (rows, count) = (g.shape(distances).rows(), g.shape(distances).columns());

        let nearness = g.scale(distances, -1.0);
        let nearness_by_word = g.transpose(nearness)?;
        let nearest = g.largest(nearness_by_word, 1)?[0];
        let mean = g.mean(nearest);
        let mean = g.scale(mean, -1.0);
        let mean = g.reshape(mean, g.shape(mean_distance))?;
        let momentum = g.fill([1], self.momentum);
        g.ema(momentum, mean, mean_distance)?;

        let inv_delta = g.fill(g.shape(mean_distance), self.inv_delta);
        let sharpness = g.divide(inv_delta, mean_distance)?;
        let logits = g.scale_by(sharpness, nearness)?;
        let codes = g.softmax(logits);
        let codes = g.reshape(codes, [rows / images, images * count])?;
        let bags = g.largest(codes, 1)?[0];
        let bags = g.reshape(bags, [images, count])?;
        let sums = g.sum_columns(bags);
        let sums = outer(g, sums, images, count)?;
        g.divide(bags, sums)
    }

    /// New words `[B,C]`, one from each map `[B,H,W,C]`: its inner part, averaged over 3x3, at the
    /// positions `index` `[B]` of u32, which count the averages of all images.
    ///
    /// # Errors
    /// Maps below 5x5, or a shape that does not fit.
    pub fn new_words(&self, g: &mut Graph, maps: Value, index: Value) -> Result<Value> {
        let shape = g.shape(maps);
        let &[images, height, width, channels] = &shape[..] else {
            return Err(Error::shape("obow", format!("maps {shape} are not [B,H,W,C]")));
        };
        if height < 5 || width < 5 {
            let detail = format!("maps of {height}x{width}; new words need at least 5x5");
            return Err(Error::setting("obow", detail));
        }
        let pixels = g.reshape(maps, [images * height * width, channels])?;
        let inner = inner_indices(images, height, width, |image, position, positions| {
            image * positions + position
        });
        let inner = g.constant_u32("inner", inner);
        let inner = g.gather_rows(pixels, inner)?;
        let inner = g.reshape(inner, [images, height - 2, width - 2, channels])?;
        let averages = g.avg_pool2d(inner, 3, 1, 0)?;
        let rows = g.shape(averages).rows();
        let averages = g.reshape(averages, [rows, channels])?;
        g.gather_rows(averages, index)
    }

    /// The loss of the features f `[B*c,F]` of c crops, those of an image in a row, under the words'
    /// weights `[W,F]` and the images' bags `[B,W]`, which are constants.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn loss(&self, g: &mut Graph, f: Value, weights: Value, bags: Value) -> Result<Value> {
        let (rows, images) = (g.shape(f).rows(), g.shape(bags).rows());
        if images == 0 || !rows.is_multiple_of(images) {
            let detail = format!("features {} of {images} images", g.shape(f));
            return Err(Error::shape("obow", detail));
        }
        let crops = rows / images;
        let image = g.constant_u32("image", (0..rows).map(|row| (row / crops) as u32).collect());
        let targets = g.gather_rows(bags, image)?;
        let products = g.matmul(f, false, weights, true)?;
        let logits = g.scale(products, self.kappa);
        let cross_entropy = soft_cross_entropy(g, targets, logits)?;

        let least = g.clamp(bags, LEAST, 1.0);
        let logs = g.ln(least);
        let terms = g.mul(bags, logs)?;
        let sum = g.sum(terms);
        let minus_entropy = g.scale(sum, 1.0 / images as f32);
        g.add(cross_entropy, minus_entropy)
    }
}

/// The inner positions of maps `[B,H,W,C]`, position by position: `[P*B,C]`.
fn inner_positions(g: &mut Graph, maps: Value) -> Result<Value> {
    let shape = g.shape(maps);
    let &[images, height, width, channels] = &shape[..] else {
        return Err(Error::shape("obow", format!("maps {shape} are not [B,H,W,C]")));
    };
    if height < 3 || width < 3 {
        let detail = format!("maps of {height}x{width} have only a border; needs at least 3x3");
        return Err(Error::setting("obow", detail));
    }
    let pixels = g.reshape(maps, [images * height * width, channels])?;
    let index =
        inner_indices(images, height, width, |image, position, _| position * images + image);
    let index = g.constant_u32("inner", index);
    g.gather_rows(pixels, index)
}

/// The rows of `[B*H*W,C]` that are no border, each at `place(image, position, positions)`.
fn inner_indices(
    images: usize,
    height: usize,
    width: usize,
    place: impl Fn(usize, usize, usize) -> usize,
) -> Vec<u32> {
    let positions = (height - 2) * (width - 2);
    let mut index = vec![0; images * positions];
    for image in 0..images {
        for position in 0..positions {
            let (row, column) = (position / (width - 2) + 1, position % (width - 2) + 1);
            let pixel = (image * height + row) * width + column;
            index[place(image, position, positions)] = pixel as u32;
        }
    }
    index
}

/// `|x_n - w|^2 = |x_n|^2 - 2 <x_n, w> + |w|^2`: `[N,W]`.
fn squared_distances(g: &mut Graph, x: Value, words: Value) -> Result<Value> {
    let products = g.matmul(x, false, words, true)?;
    let (rows, count) = (g.shape(products).rows(), g.shape(products).columns());
    let products = g.scale(products, -2.0);
    let own = row_products(g, x, x)?;
    let own = outer(g, own, rows, count)?;
    let of_words = row_products(g, words, words)?;
    let distances = g.add(products, own)?;
    g.add_bias(distances, of_words)
}

/// A column `[R]` next to itself: `[R,columns]`.
fn outer(g: &mut Graph, column: Value, rows: usize, columns: usize) -> Result<Value> {
    let column = g.reshape(column, [rows, 1])?;
    let ones = g.fill([1, columns], 1.0);
    g.matmul(column, false, ones, false)
}
