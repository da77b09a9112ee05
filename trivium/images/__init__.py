"""A folder of pictures: indexed, searched, sorted, compared, by any model like CLIP."""
