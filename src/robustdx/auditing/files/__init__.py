"""What is written for use outside of an audit: attacked images, purified images, and a defended network as one file."""
