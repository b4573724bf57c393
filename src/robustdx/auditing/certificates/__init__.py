"""What can be proved of a model: votes under noise for each image, and the radii that follow from them."""
