//! Spherical k-means from given points.

use carp::kmeans::spherical_kmeans_from;

#[test]
fn an_empty_cluster_keeps_its_centroid() {
    // Points at 0, 0 and 90 degrees; two clusters start at equal points, so one of them stays empty.
    let points = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0];
    let found = spherical_kmeans_from(&points, 2, &[0, 1, 2], 10);
    assert_eq!(found.labels, [0, 0, 2]);
    assert_eq!(found.centroids, points);
}

#[test]
fn without_an_iteration_the_labels_are_those_of_the_start() {
    let points = [1.0, 0.0, 0.8, 0.6, 0.0, 1.0];
    let found = spherical_kmeans_from(&points, 2, &[2, 0], 0);
    assert_eq!((found.labels, found.iterations), (vec![1, 1, 0], 0));
}
